//! A forest as bytes, and back.
//!
//! All numbers are little-endian. What was not written by this module is an error, whatever it is. A tree takes no more memory
//! than a multiple of the bytes that it has there, and what is expected of a sample 8 bytes for each of its rows, 2^20 at the most.
//!
//! | | |
//! |---|---|
//! | `pulsefst` | 8 bytes |
//! | version | `u32`, 1 |
//! | columns that a split can look at; columns; sample size; trees | `u32` each |
//! | the mean of each column of the training rows | `f32` each |
//! | the trees | see below |
//! | checksum | `u64`, XXH3 of all before it |
//!
//! A tree is its root; a node is its head and, if it is a split, its first child and its second child. The head of a leaf is
//! `u16` 65535 and its path length; that of a split says where it cuts, and the path length that is expected from there. Path
//! lengths are `f32`.

use xxhash_rust::xxh3::xxh3_64;

use crate::forest::{IsolationForest, Trees, with_trees};
use crate::layout::MAX_COLUMNS;
use crate::node::Node;
use crate::params::MAX_SAMPLE_SIZE;
use crate::path_length::MeanPathLength;
use crate::plane::Plane;
use crate::tree::{Branch, Tree};

const MAGIC: [u8; 8] = *b"pulsefst";
const VERSION: u32 = 1;
/// In the place of a split's first number.
const LEAF: u16 = u16::MAX;
/// No tree that can be grown is deeper: `8 * log2(MAX_SAMPLE_SIZE)`.
const MAX_DEPTH: u32 = 160;
/// No path is longer: a split counts less than 15, and the path lengths of small trees are stretched less than 30 times.
const LONGEST: f32 = 100_000.0;

/// Why bytes are no forest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They are something else.
    #[error("this is no isolation forest")]
    Foreign,
    /// They are of another version.
    #[error("this forest has format version {0}, and only {VERSION} is known: train the model again")]
    Version(u32),
    /// They are not what was written.
    #[error("this forest is damaged: its checksum is wrong")]
    Checksum,
    /// They cannot have been written.
    #[error("this forest is damaged: {0}")]
    Invalid(&'static str),
}

impl IsolationForest {
    /// The forest as bytes, for [`from_bytes`](Self::from_bytes). Equal forests give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let kind = with_trees!(&self.trees, trees => kind_of(trees));
        for number in [VERSION, kind, self.columns as u32, self.sample_size as u32, self.trees() as u32] {
            bytes.extend(number.to_le_bytes());
        }
        self.centres.iter().take(self.columns).for_each(|centre| bytes.extend(centre.to_le_bytes()));
        with_trees!(&self.trees, trees => trees.iter().for_each(|tree| write(tree, &mut bytes)));
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// The forest that [`to_bytes`](Self::to_bytes) made these bytes of: it gives the same scores, to the last bit.
    ///
    /// # Errors
    /// When they are something else, of another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let behind_magic = bytes.strip_prefix(&MAGIC).ok_or(DecodeError::Foreign)?;
        let mut reader = Reader(behind_magic);
        let version = reader.u32()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let (content, checksum) = reader.0.split_last_chunk().ok_or(CUT)?;
        if xxh3_64(&bytes[..bytes.len() - checksum.len()]) != u64::from_le_bytes(*checksum) {
            return Err(DecodeError::Checksum);
        }
        Self::read(&mut Reader(content))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [kind, columns, sample_size, trees] = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
        let columns = columns as usize;
        if !(1..=MAX_COLUMNS).contains(&columns) {
            return Err(DecodeError::Invalid("its number of columns"));
        }
        if !(1..=MAX_SAMPLE_SIZE).contains(&sample_size) {
            return Err(DecodeError::Invalid("its sample size"));
        }
        let centres = (0..columns).map(|_| reader.f32()).chain([Ok(0.0)]).collect::<Result<_, _>>()?;
        let trees = match kind {
            1 => Trees::One(read_all::<Node>(reader, columns, trees)?),
            2 => Trees::Two(read_all::<Plane<2>>(reader, columns, trees)?),
            4 => Trees::Four(read_all::<Plane<4>>(reader, columns, trees)?),
            16 => Trees::Sixteen(read_all::<Plane<16>>(reader, columns, trees)?),
            _ => return Err(DecodeError::Invalid("its kind")),
        };
        if !reader.0.is_empty() {
            return Err(DecodeError::Invalid("there is more behind its end"));
        }
        let sample_size = sample_size as usize;
        let mean_path_length = MeanPathLength::up_to(sample_size).rounded(sample_size);
        Ok(Self { trees, columns, sample_size, mean_path_length, centres })
    }
}

fn kind_of<N: Branch>(_trees: &[Tree<N>]) -> u32 {
    N::COLUMNS as u32
}

fn write<N: Branch>(tree: &Tree<N>, bytes: &mut Vec<u8>) {
    let mut open = vec![0_u32];
    while let Some(index) = open.pop() {
        let node = &tree.nodes()[index as usize];
        match node.second_child(index) {
            None => bytes.extend(LEAF.to_le_bytes()),
            Some(second) => {
                node.write(bytes);
                open.extend([second, second - 1]);
            }
        }
        bytes.extend(tree.expected(index).to_le_bytes());
    }
}

fn read_all<N: Branch>(reader: &mut Reader<'_>, columns: usize, trees: u32) -> Result<Box<[Tree<N>]>, DecodeError> {
    if trees == 0 {
        return Err(DecodeError::Invalid("it has no trees"));
    }
    // Nothing is made room for before it is read.
    let mut read_trees = Vec::new();
    for _ in 0..trees {
        read_trees.push(read::<N>(reader, columns, trees)?);
    }
    Ok(read_trees.into())
}

/// The nodes come in the order in which they were grown, and get the same numbers.
fn read<N: Branch>(reader: &mut Reader<'_>, columns: usize, trees: u32) -> Result<Tree<N>, DecodeError> {
    let (mut nodes, mut expected, mut deepest) = (vec![N::leaf(0, columns, 0.0)], vec![0.0], 0);
    let mut open = vec![(0_u32, 0_u32)];
    while let Some((index, depth)) = open.pop() {
        deepest = deepest.max(depth);
        let at = index as usize;
        let head = reader.u16()?;
        if head == LEAF {
            expected[at] = reader.path_length()?;
            nodes[at] = N::leaf(index, columns, expected[at]);
            continue;
        }
        let first = nodes.len() as u32;
        if depth == MAX_DEPTH || first >= 2 * MAX_SAMPLE_SIZE - 2 {
            return Err(DecodeError::Invalid("a tree is too large"));
        }
        nodes[at] = N::read(head, reader, columns, first + 1)?;
        expected[at] = reader.path_length()?;
        nodes.extend([N::leaf(first, columns, 0.0), N::leaf(first + 1, columns, 0.0)]);
        expected.extend([0.0; 2]);
        open.extend([(first + 1, depth + 1), (first, depth + 1)]);
    }
    Ok(Tree::new(&nodes, &expected, columns, trees, deepest))
}

const CUT: DecodeError = DecodeError::Invalid("its end is missing");

/// Takes numbers from the front of bytes.
pub(crate) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_le_bytes)
    }

    /// A number that is finite.
    pub(crate) fn f32(&mut self) -> Result<f32, DecodeError> {
        let number = self.take().map(f32::from_le_bytes)?;
        if number.is_finite() { Ok(number) } else { Err(DecodeError::Invalid("a number is not finite")) }
    }

    fn path_length(&mut self) -> Result<f32, DecodeError> {
        let length = self.f32()?;
        if length.is_sign_positive() && length <= LONGEST {
            Ok(length)
        } else {
            Err(DecodeError::Invalid("a path length"))
        }
    }
}
