//! A radix tree from topics to values.
//!
//! Nothing here recurses, and no operation takes more steps than its topic has bytes: topics are a peer's
//! choice, in length and in number. A node stands for a piece of topic of limited length, so that splitting
//! or merging one copies little, however long the topics are.

/// The longest piece of topic in one node, in bytes.
const PIECE: usize = 1024;
/// The arena is packed when it holds more than this many nodes and most of them are free.
const PACK_FROM: usize = 1024;
const ROOT: usize = 0;

/// A node of the tree. A node with a value keeps its number until [`Tree::pack`].
struct Node<V> {
    piece: Box<[u8]>,
    parent: usize,
    /// By first byte, ascending.
    children: Vec<Child>,
    value: Option<V>,
}

#[derive(Clone, Copy)]
struct Child {
    byte: u8,
    node: usize,
}

impl<V> Node<V> {
    fn new(piece: &[u8], parent: usize) -> Self {
        Node { piece: piece.into(), parent, children: Vec::new(), value: None }
    }

    fn place(&self, byte: u8) -> Result<usize, usize> {
        self.children.binary_search_by_key(&byte, |child| child.byte)
    }
}

pub(super) struct Tree<V> {
    /// The root, which has an empty piece, comes first.
    nodes: Vec<Node<V>>,
    free: Vec<usize>,
    topics: usize,
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Tree { nodes: vec![Node::new(&[], ROOT)], free: Vec::new(), topics: 0 }
    }
}

impl<V> Tree<V> {
    /// Topics that have a value.
    pub(super) fn len(&self) -> usize {
        self.topics
    }

    /// The nodes on the way of `bytes`, from the root: the values of all its prefixes are among theirs.
    #[inline]
    pub(super) fn walk<'a>(&'a self, bytes: &'a [u8]) -> Walk<'a, V> {
        Walk { tree: self, next: Some(ROOT), rest: bytes }
    }

    /// The node of just this topic.
    pub(super) fn find(&self, topic: &[u8]) -> Option<usize> {
        let mut walk = self.walk(topic);
        let mut last = ROOT;
        while let Some(node) = walk.next {
            last = node;
            walk.next();
        }
        (walk.rest.is_empty() && self.nodes[last].value.is_some()).then_some(last)
    }

    /// The node of `topic`, which gets a value if it has none.
    pub(super) fn find_or_insert(&mut self, topic: &[u8], value: impl FnOnce() -> V) -> usize {
        let node = self.make(topic);
        let slot = &mut self.nodes[node].value;
        if slot.is_none() {
            *slot = Some(value());
            self.topics += 1;
        }
        node
    }

    pub(super) fn value(&mut self, node: usize) -> Option<&mut V> {
        self.nodes[node].value.as_mut()
    }

    /// Takes the value of a node, and with it whatever of the tree only that value needed.
    pub(super) fn remove(&mut self, node: usize) -> Option<V> {
        let value = self.nodes[node].value.take()?;
        self.topics -= 1;
        self.prune(node);
        Some(value)
    }

    /// Writes the topic of a node to `topic`.
    pub(super) fn read_topic(&self, node: usize, topic: &mut Vec<u8>) {
        topic.clear();
        let mut at = node;
        while at != ROOT {
            topic.extend(self.nodes[at].piece.iter().rev());
            at = self.nodes[at].parent;
        }
        topic.reverse();
    }

    /// The nodes that have values, in no particular order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(|(_, node)| node.value.is_some()).map(|(at, _)| at)
    }

    /// The node at the end of `topic`, made if there is none.
    fn make(&mut self, topic: &[u8]) -> usize {
        let (mut at, mut rest) = (ROOT, topic);
        while let Some(&byte) = rest.first() {
            let place = match self.nodes[at].place(byte) {
                Ok(place) => place,
                Err(place) => return self.grow(at, place, rest),
            };
            let child = self.nodes[at].children[place].node;
            let piece = &self.nodes[child].piece;
            let common = common_prefix(piece, rest);
            at = if common == piece.len() { child } else { self.split(child, common) };
            rest = &rest[common..];
        }
        at
    }

    /// Adds nodes for `rest` below `at`.
    fn grow(&mut self, at: usize, place: usize, rest: &[u8]) -> usize {
        let (mut at, mut place) = (at, place);
        for piece in rest.chunks(PIECE) {
            let node = self.allocate(Node::new(piece, at));
            self.nodes[at].children.insert(place, Child { byte: piece[0], node });
            (at, place) = (node, 0);
        }
        at
    }

    /// Puts a node for the first `len` bytes of `node`'s piece above it, and returns that.
    fn split(&mut self, node: usize, len: usize) -> usize {
        let Node { piece, parent, .. } = &mut self.nodes[node];
        let (above, below) = piece.split_at(len);
        let (first, child, parent) = (above[0], Child { byte: below[0], node }, *parent);
        let mut upper = Node::new(above, parent);
        upper.children.push(child);
        *piece = below.into();
        let upper = self.allocate(upper);
        self.nodes[node].parent = upper;
        self.replace_child(parent, first, upper);
        upper
    }

    fn replace_child(&mut self, parent: usize, byte: u8, with: usize) {
        if let Ok(place) = self.nodes[parent].place(byte) {
            self.nodes[parent].children[place].node = with;
        }
    }

    /// Takes away nodes that stand for nothing, from `at` upwards.
    fn prune(&mut self, mut at: usize) {
        while at != ROOT && self.nodes[at].value.is_none() {
            let Node { piece, parent, children, .. } = &mut self.nodes[at];
            let (parent, byte) = (*parent, piece[0]);
            match children[..] {
                [] => {
                    if let Ok(place) = self.nodes[parent].place(byte) {
                        self.nodes[parent].children.remove(place);
                    }
                    self.release(at);
                    at = parent;
                }
                [Child { node: child, .. }] => {
                    let upper = std::mem::take(piece);
                    let lower = &self.nodes[child].piece;
                    if upper.len() + lower.len() > PIECE {
                        self.nodes[at].piece = upper;
                        return;
                    }
                    self.nodes[child].piece = [&upper[..], &lower[..]].concat().into();
                    self.nodes[child].parent = parent;
                    self.replace_child(parent, byte, child);
                    self.release(at);
                    return;
                }
                _ => return,
            }
        }
    }

    fn allocate(&mut self, node: Node<V>) -> usize {
        match self.free.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        }
    }

    fn release(&mut self, at: usize) {
        self.nodes[at] = Node::new(&[], ROOT);
        self.free.push(at);
    }

    /// Gives memory back if most of it is unused. Returns whether nodes have new numbers.
    pub(super) fn pack(&mut self) -> bool {
        if self.nodes.len() <= PACK_FROM || self.free.len() < self.nodes.len() / 4 * 3 {
            return false;
        }
        let mut numbers = vec![None; self.nodes.len()];
        for &free in &self.free {
            numbers[free] = Some(usize::MAX);
        }
        let kept = numbers.iter_mut().filter(|number| number.is_none());
        kept.enumerate().for_each(|(new, number)| *number = Some(new));
        let new = |old: usize| numbers[old].unwrap_or(ROOT);
        let mut packed = Vec::with_capacity(self.nodes.len() - self.free.len());
        for (old, mut node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if new(old) == usize::MAX {
                continue;
            }
            node.parent = new(node.parent);
            for child in &mut node.children {
                child.node = new(child.node);
            }
            packed.push(node);
        }
        self.nodes = packed;
        self.free = Vec::new();
        true
    }

    /// Nodes in use or free.
    #[cfg(test)]
    pub(super) fn arena(&self) -> usize {
        self.nodes.len()
    }

    /// Nodes in use, and bytes in their pieces. Panics if the tree is not as it should be.
    #[cfg(test)]
    pub(super) fn check(&self) -> (usize, usize) {
        let (mut nodes, mut bytes, mut values) = (0, 0, 0);
        let mut next = vec![ROOT];
        while let Some(at) = next.pop() {
            let node = &self.nodes[at];
            nodes += 1;
            bytes += node.piece.len();
            values += usize::from(node.value.is_some());
            assert!(at == ROOT || (1..=PIECE).contains(&node.piece.len()));
            assert!(at == ROOT || node.value.is_some() || !node.children.is_empty(), "a node for nothing");
            assert!(node.children.is_sorted_by(|a, b| a.byte < b.byte));
            for child in &node.children {
                assert_eq!(
                    (self.nodes[child.node].parent, self.nodes[child.node].piece[0]),
                    (at, child.byte)
                );
                next.push(child.node);
            }
        }
        assert_eq!((nodes + self.free.len(), values), (self.nodes.len(), self.topics));
        (nodes, bytes)
    }
}

/// See [`Tree::walk`].
pub(super) struct Walk<'a, V> {
    tree: &'a Tree<V>,
    /// The next node, whose piece has been compared.
    next: Option<usize>,
    rest: &'a [u8],
}

impl<'a, V> Iterator for Walk<'a, V> {
    type Item = Option<&'a V>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let nodes = &self.tree.nodes;
        let node = &nodes[self.next.take()?];
        if let Some(&byte) = self.rest.first()
            && let Ok(place) = node.place(byte)
        {
            let child = node.children[place].node;
            if let Some(rest) = self.rest.strip_prefix(&nodes[child].piece[..]) {
                (self.next, self.rest) = (Some(child), rest);
            }
        }
        Some(node.value.as_ref())
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    if b.starts_with(a) {
        return a.len();
    }
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
