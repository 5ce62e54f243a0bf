//! Endorsements from simulated services on loopback: asked for by chip and firmware, kept, and
//! never believed blindly.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use aether_tee::attester::Attested;
use aether_tee::fetch::{FetchError, FetchSettings, VendorServices};
use aether_tee::{Endorsements, Evidence, EvidenceKind, UnixTime};

use crate::amd::{Amd, CHIP, REPORTED_TCB, VERSION, hardware};
use crate::forger::NOW;
use crate::intel::Intel;
use crate::pki::{List, Signer};
use crate::server::{Reply, Server};

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(NOW.0) };
}

fn clock() -> UnixTime {
    UnixTime(CLOCK.get())
}

fn settings(server: &Server, cache: Option<&Path>) -> FetchSettings {
    FetchSettings {
        amd: server.url.clone(),
        intel: server.url.clone(),
        intel_root_list: format!("{}/root.der", server.url),
        cache: cache.map(Path::to_owned),
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
        attempts: 3,
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_millis(50),
        ..FetchSettings::default()
    }
}

fn services(server: &Server, cache: Option<&Path>) -> VendorServices {
    VendorServices::new(settings(server, cache)).with_clock(clock)
}

fn attested(evidence: Evidence) -> Attested {
    Attested {
        evidence,
        attached: Vec::new(),
    }
}

/// A part of a bundle, by its tag.
fn part(bundle: &Endorsements, tag: u8) -> Vec<u8> {
    let mut rest = bundle.0.get(1..).unwrap_or_default();
    while let [found, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (part, next) = after.split_at(length);
        if *found == tag {
            return part.to_vec();
        }
        rest = next;
    }
    Vec::new()
}

/// A folder that is gone afterwards.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aether-tee-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// AMD's service for one vendor: its VEK and its list.
fn amd_service(vek: Vec<u8>, list: Vec<u8>) -> Server {
    Server::start(move |path, _| {
        if path.ends_with("/crl") {
            Reply::ok(list.clone())
        } else if path.starts_with("/vcek/") {
            Reply::ok(vek.clone())
        } else {
            Reply::status(404)
        }
    })
}

fn milan_path() -> String {
    format!(
        "/vcek/v1/Milan/{}?blSPL=03&teeSPL=01&snpSPL=20&ucodeSPL=209",
        "c4".repeat(64)
    )
}

#[test]
fn a_vcek_is_asked_for_by_chip_and_firmware_once() {
    let vendor = Amd::listed();
    let bundle = vendor.bundle();
    let (vek, list) = (part(&bundle, 1), part(&bundle, 4));
    let server = amd_service(vek.clone(), list.clone());
    let folder = Folder::new("vcek");
    let evidence = attested(vendor.evidence());
    let ask = || services(&server, Some(&folder.0)).fetch(&evidence);

    let got = ask().expect("endorsements");
    assert_eq!((part(&got, 1), part(&got, 4)), (vek, list));
    assert_eq!(server.asked(), [milan_path(), "/vcek/v1/Milan/crl".into()]);
    // Kept: another process asks nobody.
    assert_eq!(ask().as_ref(), Ok(&got));
    assert_eq!(server.asked(), [""; 0]);
    // The list is asked for again after a day, and where nobody answers, the old one is still
    // good until its end (a day after NOW, as the certificates').
    CLOCK.set(NOW.0 + 86_400);
    server.become_other(|_, _| Reply::status(503));
    assert_eq!(ask().as_ref(), Ok(&got));
    CLOCK.set(NOW.0 + 86_401);
    let error = ask().expect_err("no current list");
    assert!(
        matches!(error, FetchError::Status { status: 503, .. }),
        "{error}"
    );
    CLOCK.set(NOW.0);
}

#[test]
fn turins_chips_have_short_names_and_one_part_more() {
    let mut vendor = Amd::turin();
    vendor.list = Some(List::new("ARK-Turin", Signer::Ark));
    let bundle = vendor.bundle();
    let server = amd_service(part(&bundle, 1), part(&bundle, 4));
    let got = services(&server, None).fetch(&attested(vendor.evidence()));
    assert_eq!(part(&got.expect("endorsements"), 1), part(&bundle, 1));
    let path = format!(
        "/vcek/v1/Turin/{}?fmcSPL=07&blSPL=03&teeSPL=01&snpSPL=20&ucodeSPL=209",
        "c4".repeat(8)
    );
    assert_eq!(server.asked(), [path, "/vcek/v1/Turin/crl".into()]);
}

#[test]
fn reports_that_name_no_product_are_asked_for_under_each() {
    let mut vendor = Amd::listed();
    vendor.put(VERSION, &[2]);
    let bundle = vendor.bundle();
    let (vek, list) = (part(&bundle, 1), part(&bundle, 4));
    let server = Server::start(move |path, _| match path {
        path if path.ends_with("/crl") => Reply::ok(list.clone()),
        path if path.contains("/Milan/") => Reply::ok(vek.clone()),
        _ => Reply::status(404),
    });
    let got = services(&server, None).fetch(&attested(vendor.evidence()));
    assert_eq!(part(&got.expect("endorsements"), 1), part(&bundle, 1));
}

/// A host's table of certificates.
fn table(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut head = Vec::new();
    let mut body = Vec::new();
    let start = (entries.len() + 1) * 24;
    for (id, der) in entries {
        head.extend(hex::decode(id).expect("an id"));
        head.extend(
            u32::try_from(start + body.len())
                .expect("small")
                .to_le_bytes(),
        );
        head.extend(u32::try_from(der.len()).expect("small").to_le_bytes());
        body.extend(*der);
    }
    head.extend([0; 24]);
    [head, body].concat()
}

#[test]
fn what_the_host_attached_is_taken_where_it_fits() {
    const VCEK: &str = "63da758de6644564adc5f4b93be8accd";
    const VLEK: &str = "a8074bc2a25a483eaae639c045a0b8a1";
    const ISSUER: &str = "4ab7b379bbac4fe4a02f05aef327c782";
    let vendor = Amd::listed();
    let bundle = vendor.bundle();
    let (vek, list) = (part(&bundle, 1), part(&bundle, 4));
    let server = amd_service(vek.clone(), list.clone());
    let given = |evidence: Evidence, attached: Vec<u8>| {
        let attested = Attested { evidence, attached };
        services(&server, None).fetch(&attested)
    };
    let got = given(vendor.evidence(), table(&[(VCEK, &vek)])).expect("endorsements");
    assert_eq!(part(&got, 1), vek);
    assert_eq!(server.asked(), ["/vcek/v1/Milan/crl"]);
    // One of another chip, and tables that lie, do not count.
    let mut other = Amd::listed();
    other.vek.extensions[crate::amd::AT_ID] = hardware(&[0xc5; 64]);
    let mut lying = table(&[(VCEK, &vek)]);
    lying[20..24].fill(0xff);
    for attached in [
        table(&[(VCEK, &part(&other.bundle(), 1))]),
        lying,
        vec![1; 40],
    ] {
        assert!(given(vendor.evidence(), attached).is_ok());
        assert_eq!(server.asked(), [milan_path(), "/vcek/v1/Milan/crl".into()]);
    }
    // A VLEK comes from the host or not at all.
    let cloud = Amd::vlek();
    let bundle = cloud.bundle();
    let (vek, issuer) = (part(&bundle, 1), part(&bundle, 2));
    let attached = table(&[(VLEK, &vek), (ISSUER, &issuer)]);
    let got = given(cloud.evidence(), attached).expect("endorsements");
    assert_eq!(
        (part(&got, 1), part(&got, 2)),
        (vek.clone(), issuer.clone())
    );
    let error = given(cloud.evidence(), Vec::new()).expect_err("no VLEK");
    assert!(matches!(error, FetchError::Evidence { .. }), "{error}");
    // Its issuer may come from AMD.
    let chain = crate::intel::pem(&[&issuer, &part(&bundle, 3)]);
    server.become_other(move |path, _| match path {
        "/vlek/v1/Milan/cert_chain" => Reply::ok(chain.clone()),
        _ => Reply::ok(list.clone()),
    });
    let got = given(cloud.evidence(), table(&[(VLEK, &vek)])).expect("endorsements");
    assert_eq!(part(&got, 2), issuer);
}

/// Percent signs for all that is not a letter or digit, as Intel writes its headers.
fn percent(text: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.iter().map(one).collect()
}

/// Intel's service, for a bundle that belongs to a quote.
fn intel_routes(bundle: &Endorsements) -> impl Fn(&str) -> Reply + Clone + Send + use<> {
    let parts: Vec<Vec<u8>> = (1..=9).map(|tag| part(bundle, tag)).collect();
    let json = |name: &str, text: &[u8], signature: &[u8]| {
        let text = std::str::from_utf8(text).expect("JSON");
        format!(
            "{{\"{name}\": {text},\"signature\":\"{}\"}}",
            hex::encode(signature)
        )
    };
    let info = json("tcbInfo", &parts[3], &parts[4]);
    let identity = json("enclaveIdentity", &parts[6], &parts[7]);
    move |path| match path {
        "/tdx/certification/v4/tcb?fmspc=50806f000000" => {
            Reply::ok(info.clone()).with("TCB-Info-Issuer-Chain", percent(&parts[5]))
        }
        "/tdx/certification/v4/qe/identity" => Reply::ok(identity.clone())
            .with("SGX-Enclave-Identity-Issuer-Chain", percent(&parts[8])),
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der" => {
            Reply::ok(parts[1].clone()).with("SGX-PCK-CRL-Issuer-Chain", percent(&parts[2]))
        }
        "/root.der" => Reply::ok(parts[0].clone()),
        _ => Reply::status(404),
    }
}

#[test]
fn intels_answers_come_together_to_a_bundle_that_is_accepted() {
    let vendor = Intel::honest();
    let (evidence, bundle, anchors) = vendor.made();
    let routes = intel_routes(&bundle);
    let server = Server::start(move |path, _| routes(path));
    let folder = Folder::new("pcs");
    let ask = || services(&server, Some(&folder.0)).fetch(&attested(evidence.clone()));
    let got = ask().expect("endorsements");
    // Byte for byte, since the texts are signed.
    assert_eq!(got, bundle);
    assert!(vendor.judge(&evidence, &got, &anchors).is_ok());
    assert_eq!(server.asked().len(), 4);
    assert_eq!(ask().as_ref(), Ok(&bundle));
    assert_eq!(server.asked().len(), 0);
    // Torn files are as good as none.
    for file in std::fs::read_dir(&folder.0).expect("a folder") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("readable");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("writable");
    }
    assert_eq!(ask().as_ref(), Ok(&bundle));
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn nothing_is_asked_for_evidence_that_carries_its_chain_or_is_none() {
    let server = Server::start(|_, _| Reply::status(500));
    let evidence = |kind, bytes: &[u8]| {
        attested(Evidence {
            kind,
            bytes: bytes.to_vec(),
        })
    };
    let asker = services(&server, None);
    for kind in [EvidenceKind::Nitro, EvidenceKind::Simulated] {
        assert_eq!(asker.fetch(&evidence(kind, b"x")), Ok(Endorsements::none()));
    }
    for kind in [EvidenceKind::SevSnp, EvidenceKind::Tdx] {
        let error = asker.fetch(&evidence(kind, b"x")).expect_err("no evidence");
        assert!(matches!(error, FetchError::Evidence { .. }), "{error}");
    }
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn trouble_is_told_apart_and_never_lasts() {
    let vendor = Amd::honest();
    let vek = part(&vendor.bundle(), 1);
    let evidence = attested(vendor.evidence());
    let slow = Duration::from_secs(5);
    let byte_by_byte = Duration::from_millis(20);
    // What is answered, how often it is asked, and what comes of it.
    let busy = |status| Reply::status(status).with("Retry-After", "3600");
    let late = Reply {
        delay: slow,
        ..Reply::ok(vek.clone())
    };
    let dribbling = Reply {
        dribble: byte_by_byte,
        ..Reply::ok(vek.clone())
    };
    let large = Reply::ok(vec![b'x'; 17 * 1024]);
    let elsewhere = Reply::status(302).with("Location", "http://127.0.0.1:1/");
    for (reply, requests, wanted) in [
        (Reply::status(404), 1, "HTTP status 404"),
        (Reply::status(400), 1, "HTTP status 400"),
        (elsewhere, 1, "HTTP status 302"),
        (busy(429), 3, "HTTP status 429"),
        (Reply::status(500), 3, "HTTP status 500"),
        (late, 3, "timeout"),
        (dribbling, 3, "timeout"),
        (large, 1, "more than 16384 bytes"),
        (
            Reply::ok("<html>login</html>"),
            1,
            "no certificate for this chip",
        ),
        (Reply::ok(Vec::new()), 1, "no certificate for this chip"),
    ] {
        let server = Server::start(move |_, _| reply.clone());
        let patience = FetchSettings {
            call_timeout: Duration::from_millis(400),
            revocation_lists: false,
            ..settings(&server, None)
        };
        let began = Instant::now();
        let error = VendorServices::new(patience).fetch(&evidence);
        let error = error.expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
        assert_eq!(server.asked().len(), requests, "{wanted}");
        assert!(began.elapsed() < Duration::from_secs(20), "{wanted}");
    }
    // Nobody there.
    let nobody = FetchSettings {
        amd: "http://127.0.0.1:1".into(),
        attempts: 2,
        first_wait: Duration::from_millis(1),
        ..FetchSettings::default()
    };
    let error = VendorServices::new(nobody).fetch(&evidence);
    assert!(
        matches!(error, Err(FetchError::Unreachable { .. })),
        "{error:?}"
    );
    // What passes is waited out.
    let server = Server::start(move |_, before| match before {
        0 => busy(429),
        1 => Reply::status(503),
        _ => Reply::ok(vek.clone()),
    });
    let patience = FetchSettings {
        revocation_lists: false,
        ..settings(&server, None)
    };
    assert!(VendorServices::new(patience).fetch(&evidence).is_ok());
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn answers_to_other_questions_are_refused_and_not_kept() {
    let folder = Folder::new("wrong");
    // AMD: the certificate of another chip, or of other firmware; a list of another time.
    let honest = Amd::listed();
    let evidence = attested(honest.evidence());
    let list = part(&honest.bundle(), 4);
    let mut chip = Amd::listed();
    chip.vek.extensions[crate::amd::AT_ID] = hardware(&[0xc5; 64]);
    let mut firmware = Amd::listed();
    firmware.vek.extensions[crate::amd::AT_BOOTLOADER] = crate::amd::number(1, 4);
    for vendor in [&chip, &firmware] {
        let server = amd_service(part(&vendor.bundle(), 1), list.clone());
        let error = services(&server, Some(&folder.0)).fetch(&evidence);
        assert!(
            matches!(error, Err(FetchError::Content { .. })),
            "{error:?}"
        );
    }
    let mut stale = Amd::listed();
    stale.list.as_mut().expect("a list").next_update = Some("260301110000Z");
    let vek = part(&honest.bundle(), 1);
    let server = amd_service(vek, part(&stale.bundle(), 4));
    let error = services(&server, Some(&folder.0)).fetch(&evidence);
    let error = error.expect_err("an old list").to_string();
    assert!(error.contains("no current revocation list"), "{error}");

    // Intel: another family, another time, another technology, no chain, no JSON.
    let vendor = Intel::honest();
    let (quote, bundle, _) = vendor.made();
    let changed = |field: &str, value: &str| {
        let mut vendor = Intel::honest();
        vendor.info[field] = value.into();
        vendor.made().1
    };
    let good = intel_routes(&bundle);
    let without_chain = {
        let good = good.clone();
        move |path: &str| Reply {
            headers: Vec::new(),
            ..good(path)
        }
    };
    let cut = {
        let good = good.clone();
        move |path: &str| {
            let mut reply = good(path);
            reply.body.pop();
            reply
        }
    };
    type Route = Box<dyn Fn(&str) -> Reply + Send>;
    let routes: Vec<(Route, &str)> = vec![
        (
            Box::new(intel_routes(&changed("fmspc", "00906ed50000"))),
            "for other platforms",
        ),
        (
            Box::new(intel_routes(&changed("nextUpdate", "2026-02-28T13:00:00Z"))),
            "of another time",
        ),
        (
            Box::new(intel_routes(&changed("id", "SGX"))),
            "no TCB info for TDX",
        ),
        (Box::new(without_chain), "no chain"),
        (Box::new(cut), "no TCB info"),
    ];
    for (route, wanted) in routes {
        let server = Server::start(move |path, _| route(path));
        let error = services(&server, Some(&folder.0)).fetch(&attested(quote.clone()));
        let error = error.expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    assert_eq!(
        std::fs::read_dir(&folder.0).map_or(0, Iterator::count),
        1,
        "the genuine VCEK"
    );
    assert!(u64::from(honest.report[REPORTED_TCB]) > 0 && honest.report[CHIP] > 0);
}
