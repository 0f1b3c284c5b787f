//! Messages of Protobuf, field by field: by their published numbers, without the types that the program has of them.

/// A field that has a length: text, bytes or a message.
pub fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut field = encoded(number << 3 | 2);
    field.extend(encoded(content.len() as u64));
    field.extend(content);
    field
}

/// A field that is a number.
pub fn number(number: u64, value: u64) -> Vec<u8> {
    let mut field = encoded(number << 3);
    field.extend(encoded(value));
    field
}

fn encoded(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The fields of a message, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<(u64, Value)>);

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Message {
    /// # Panics
    /// If it is none.
    pub(crate) fn decode(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)),
                1 => Value::Number(fixed(&mut bytes, 8)),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).expect("a length fits");
                    Value::Bytes(take(&mut bytes, length).to_vec())
                }
                5 => Value::Number(fixed(&mut bytes, 4)),
                kind => panic!("no wire type: {kind}"),
            };
            fields.push((key >> 3, value));
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &Value> {
        let same = self.0.iter().filter(move |(number, _)| *number == field);
        same.map(|(_, value)| value)
    }

    pub(crate) fn has(&self, field: u64) -> bool {
        self.all(field).next().is_some()
    }

    /// A number, of any type; 0 is the default.
    pub(crate) fn number(&self, field: u64) -> u64 {
        match self.all(field).last() {
            Some(Value::Number(number)) => *number,
            None => 0,
            other => panic!("field {field} is no number: {other:?}"),
        }
    }

    pub(crate) fn bytes(&self, field: u64) -> &[u8] {
        match self.all(field).last() {
            Some(Value::Bytes(bytes)) => bytes,
            None => &[],
            other => panic!("field {field} has no length: {other:?}"),
        }
    }

    pub(crate) fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field).to_vec()).expect("text is UTF-8")
    }

    pub(crate) fn hex(&self, field: u64) -> String {
        self.bytes(field)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub(crate) fn messages(&self, field: u64) -> impl Iterator<Item = Self> {
        self.all(field).map(move |value| match value {
            Value::Bytes(bytes) => Self::decode(bytes),
            Value::Number(_) => panic!("field {field} is no message"),
        })
    }
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, rest) = bytes
        .split_at_checked(length)
        .expect("the message is complete");
    *bytes = rest;
    taken
}

fn fixed(bytes: &mut &[u8], length: usize) -> u64 {
    let taken = take(bytes, length).iter().rev();
    taken.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1).first().copied().unwrap_or_default();
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}
