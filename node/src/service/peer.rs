//! Accounts and peer ids are two spellings of one ed25519 key: a node's
//! network identity is its account key. So a provider's peer id names the
//! account whose capability record to look up, and a proposer's account says
//! whom to ask for its block.

use crate::net::PeerId;
use aether_mesh::Account;

/// Multihash header of an inlined ed25519 public key: identity code, 36 bytes,
/// then the protobuf `type = ed25519, data = 32 bytes`.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The account behind a peer id; none for other key types.
pub fn account_of_peer(peer: &PeerId) -> Option<Account> {
    let bytes = peer.to_bytes();
    bytes.strip_prefix(&PREFIX).and_then(Account::from_slice)
}

/// The peer id of an account.
pub fn peer_of_account(account: &Account) -> Option<PeerId> {
    let mut bytes = PREFIX.to_vec();
    bytes.extend_from_slice(account.as_bytes());
    PeerId::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_peer_ids_name_the_same_key() {
        let key = libp2p::identity::Keypair::ed25519_from_bytes([5; 32]).unwrap();
        let account = Account(
            ed25519_dalek::SigningKey::from_bytes(&[5; 32])
                .verifying_key()
                .to_bytes(),
        );
        let peer = PeerId::from(key.public());
        assert_eq!(account_of_peer(&peer), Some(account));
        assert_eq!(peer_of_account(&account), Some(peer));
    }
}
