//! A block's shape: what holds whatever the state is.

use crate::scene::{Scene, validator};
use aether_mesh::*;

fn certificate(s: &Scene, height: u64, block_id: BlockId) -> Certificate {
    let votes: Vec<Vote> = (0..4)
        .map(|n| s.vote(n, height, 0, VoteKind::Precommit, Some(block_id)))
        .collect();
    Certificate::aggregate(&s.rules.validators, Slot(height), 0, block_id, &votes).unwrap()
}

/// A well-formed block at a height.
fn block(s: &Scene, height: u64) -> Block {
    let txs = vec![
        s.transfer_tx("stranger", "owner", Amount(1)).into_signed(),
        s.transfer_tx("owner", "stranger", Amount(2)).into_signed(),
    ];
    let parent_id = BlockId([6; 32]);
    let parent = (height > 1).then(|| certificate(s, height - 1, parent_id));
    let header = Header {
        chain_id: s.rules.chain_id,
        height: Slot(height),
        time_ms: 1,
        parent_id,
        parent_certificate_hash: parent.as_ref().map(Certificate::hash).unwrap_or_default(),
        txs_root: Block::txs_root(&txs),
        state_root: [8; 32],
        validators_hash: s.rules.validators.hash(),
        next_validators_hash: s.rules.validators.hash(),
        proposer: validator(0),
    };
    Block {
        header,
        parent_certificate: parent,
        txs,
    }
}

#[test]
fn well_formed_blocks_survive_the_wire() {
    let s = Scene::new();
    for height in [1, 2, 900] {
        let b = block(&s, height);
        assert_eq!(b.check_shape(&s.rules.chain_id), Ok(()));
        let bytes = b.encode();
        assert_eq!(Block::decode(&bytes, 1 << 20), Ok(b.clone()));
        assert!(Block::decode(&bytes, bytes.len() - 1).is_err());
        for cut in (0..bytes.len()).step_by(7) {
            let back = Block::decode(&bytes[..cut], 1 << 20);
            let same = back.is_ok_and(|b| b.check_shape(&s.rules.chain_id).is_ok());
            assert!(!same, "cut to {cut}");
        }
    }
}

/// A block with one thing wrong.
type Wrong = (&'static str, u64, fn(&Scene, &mut Block), BlockError);

#[test]
fn what_no_state_would_allow() {
    use BlockError::{OtherChain, ParentCertificate, TxsRoot};
    let s = Scene::new();
    let table: Vec<Wrong> = vec![
        (
            "another chain",
            2,
            |_, b| b.header.chain_id.0[0] ^= 1,
            OtherChain,
        ),
        (
            "height 0",
            1,
            |_, b| b.header.height = Slot(0),
            ParentCertificate,
        ),
        (
            "height 0 with a certificate",
            2,
            |_, b| b.header.height = Slot(0),
            ParentCertificate,
        ),
        (
            "no certificate",
            2,
            |_, b| b.parent_certificate = None,
            ParentCertificate,
        ),
        (
            "no certificate, and says so",
            2,
            |_, b| {
                b.parent_certificate = None;
                b.header.parent_certificate_hash = [0; 32];
            },
            ParentCertificate,
        ),
        (
            "a certificate at height 1",
            1,
            |s, b| {
                let c = certificate(s, 1, b.header.parent_id);
                b.header.parent_certificate_hash = c.hash();
                b.parent_certificate = Some(c);
            },
            ParentCertificate,
        ),
        (
            "a certificate of another block",
            2,
            |s, b| {
                let c = certificate(s, 1, BlockId([5; 32]));
                b.header.parent_certificate_hash = c.hash();
                b.parent_certificate = Some(c);
            },
            ParentCertificate,
        ),
        (
            "a certificate of another height",
            3,
            |s, b| {
                let c = certificate(s, 1, b.header.parent_id);
                b.header.parent_certificate_hash = c.hash();
                b.parent_certificate = Some(c);
            },
            ParentCertificate,
        ),
        (
            "another certificate than the header's",
            2,
            |_, b| {
                b.parent_certificate.as_mut().unwrap().round += 1;
            },
            ParentCertificate,
        ),
        (
            "a hash at height 1",
            1,
            |_, b| b.header.parent_certificate_hash[0] = 1,
            ParentCertificate,
        ),
        (
            "a transaction less",
            2,
            |_, b| {
                b.txs.pop();
            },
            TxsRoot,
        ),
        (
            "a transaction twice",
            2,
            |_, b| b.txs.push(b.txs[0].clone()),
            TxsRoot,
        ),
        ("another order", 2, |_, b| b.txs.reverse(), TxsRoot),
        (
            "another signature",
            2,
            |_, b| b.txs[0].signature[0] ^= 1,
            TxsRoot,
        ),
        ("another root", 2, |_, b| b.header.txs_root[0] ^= 1, TxsRoot),
    ];
    for (what, height, spoil, expected) in table {
        let mut b = block(&s, height);
        spoil(&s, &mut b);
        assert_eq!(b.check_shape(&s.rules.chain_id), Err(expected), "{what}");
    }
}

#[test]
fn every_field_of_a_header_is_in_its_id() {
    let s = Scene::new();
    let header = block(&s, 2).header;
    let changes: [fn(&mut Header); 10] = [
        |h| h.chain_id.0[0] ^= 1,
        |h| h.height.0 += 1,
        |h| h.time_ms += 1,
        |h| h.parent_id.0[0] ^= 1,
        |h| h.parent_certificate_hash[0] ^= 1,
        |h| h.txs_root[0] ^= 1,
        |h| h.state_root[0] ^= 1,
        |h| h.validators_hash[0] ^= 1,
        |h| h.next_validators_hash[0] ^= 1,
        |h| h.proposer.0[0] ^= 1,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut other = header.clone();
        change(&mut other);
        assert_ne!(other.id(), header.id(), "{n}");
        assert_eq!(Header::from_pb(&other.to_pb()), Ok(other));
    }
    let pb = header.to_pb();
    let shorten: [fn(&mut pb::Header); 4] = [
        |h| h.chain_id.truncate(31),
        |h| h.state_root.push(0),
        |h| h.proposer.clear(),
        |h| h.parent_id.truncate(4),
    ];
    for change in shorten {
        let mut odd = pb.clone();
        change(&mut odd);
        assert!(Header::from_pb(&odd).is_err());
    }
}

#[test]
fn a_proposer_fills_a_block_up_to_its_limit() {
    let s = Scene::with(|g| {
        g.params.limits.message_bytes_max = 20 << 10;
        g.params.limits.inline_bytes_max = 4 << 10;
        g.params.limits.trace_elements_max = 256;
        g.params.limits.block_bytes_max = 80 << 10;
    });
    // 16 KiB are left beside header and certificate.
    let txs: Vec<VerifiedTx> = (0..120)
        .map(|n| {
            let to = crate::scene::account("owner");
            s.tx_after(
                "stranger",
                Action::Transfer {
                    to,
                    amount: Amount(1),
                },
                n,
            )
        })
        .collect();
    let ctx = s.next_context();
    let built = build(&s.state, &s.rules, &s.library, ctx, txs.clone()).unwrap();
    let bytes: usize = built
        .included
        .iter()
        .map(|tx| tx.signed().encoded_len() + 8)
        .sum();
    assert!(bytes <= 16 << 10 && bytes > 15 << 10, "{bytes}");
    assert!(built.included.len() < txs.len());
    let again = apply(&s.state, &s.rules, &s.library, ctx, &built.included).unwrap();
    assert_eq!(again, built.applied);
}
