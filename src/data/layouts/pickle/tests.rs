//! Pickles as Python writes them, and others.

use super::*;

/// What Python writes for `{"labels": [3, 258, -1], "names": ["a", "b"], "data": numpy.array([[1, 2, 3]], "u1")}`.
fn protocol_2() -> Vec<u8> {
    let mut bytes =
        b"\x80\x02}q\x00(U\x06labelsq\x01]q\x02(K\x03M\x02\x01J\xff\xff\xff\xffeU\x05names]q\x03(U\x01aU\x01beU\x04data".to_vec();
    bytes.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nK\x00\x85U\x01b\x87R");
    bytes.extend(b"(K\x01K\x01K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
    bytes.extend(b"\x89U\x03\x01\x02\x03tbu.");
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    format!("{:#}", Pickle::read(bytes).unwrap_err())
}

#[test]
fn plain_values_and_arrays_of_bytes_are_read() {
    let bytes = protocol_2();
    let pickle = Pickle::read(&bytes).unwrap();
    assert_eq!(pickle.integers("labels").unwrap(), [3, 258, -1]);
    assert_eq!(pickle.texts("names").unwrap(), ["a", "b"]);
    let Some(Value::Array {
        shape,
        bytes: Bytes::There(range),
    }) = pickle.get("data")
    else {
        panic!("{:?}", pickle.get("data"))
    };
    assert_eq!((&shape[..], &bytes[range.clone()]), (&[1, 3][..], &[1, 2, 3][..]));
    assert!(pickle.get("other").is_none() && pickle.texts("labels").is_none());
}

#[test]
fn the_oldest_and_newer_protocols_are_read_too() {
    let old = b"(dp0\nS'labels'\np1\n(lp2\nI3\naI01\nasS'names'\n(lS'it\\'s'\naS'\\x41\\n'\naV\\u00e9\naVa\\n\nas.";
    let pickle = Pickle::read(old).unwrap();
    assert_eq!(pickle.integers("labels").unwrap(), [3, 1]);
    assert_eq!(pickle.texts("names").unwrap(), ["it's", "A\n", "\u{e9}", "a\\n"]);
    let new = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x06labels\x94]\x94K\x07ah\x01C\x01xu.";
    assert_eq!(Pickle::read(new).unwrap().texts("labels"), None);
    let encoded = b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00a\xc3\xa9X\x06\x00\x00\x00latin1\x86R.";
    let pickle = Pickle::read(encoded).unwrap();
    assert_eq!(pickle.text(pickle.root), Some(&b"a\xe9"[..]));
}

#[test]
fn everything_else_is_refused_and_nothing_executed() {
    assert_eq!(
        refusal(b"cos\nsystem\n(S'true'\ntR."),
        "it asks for `os.system`, which no data set needs (nothing in it was executed)"
    );
    assert!(refusal(b"\x80\x04\x8c\x02os\x8c\x06system\x93.").contains("`os.system`"));
    assert!(refusal(b"\x80\x02\x82\x01.").contains("its byte 2 is the pickle instruction 0x82"));
    assert!(refusal(&[b"(".as_slice(); 2000].concat()).contains("nested"));
    let mut wide = protocol_2();
    let at = wide.windows(2).position(|pair| pair == b"u1").unwrap();
    wide[at..at + 2].copy_from_slice(b"i8");
    assert!(refusal(&wide).contains("of the type `i8`"));
}

#[test]
fn a_torn_or_changed_pickle_is_an_error_or_a_value_but_no_panic() {
    let whole = protocol_2();
    for length in 0..whole.len() {
        assert!(Pickle::read(&whole[..length]).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for new in [0, 1, b'(', b'R', b'b', b't', b'h', 0x8a, 0x94, 0xff] {
            let mut changed = whole.clone();
            changed[at] = new;
            drop(Pickle::read(&changed));
        }
    }
}
