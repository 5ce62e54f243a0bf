By0J<q=‚À\´B{}B{ŽB
×Aq=§BR¸rA…ëB>
B¤p=@gf@BR8–Bq=‚AR¸(B®GIA