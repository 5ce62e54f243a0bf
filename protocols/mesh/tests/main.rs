//! The protocol, told in stories: a small network on a plain map, one block
//! after the other, the books audited after each.

mod scene;

mod assigning;
mod blocks;
mod certificates;
mod challenging;
mod evidence;
mod genesis;
mod honest;
mod money;
mod posting;
mod random;
mod receipts;
mod records;
mod vcrs;
mod wires;
