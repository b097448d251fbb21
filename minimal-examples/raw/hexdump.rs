//! Bytes in the log, as lws's `lwsl_hexdump` shows them. Shared by the raw examples.

/// Sixteen bytes a line: offset, hexadecimal, and what is printable.
pub(crate) fn hexdump(bytes: &[u8]) {
    for (number, line) in bytes.chunks(16).enumerate() {
        let hex: String = line.iter().map(|byte| format!("{byte:02X} ")).collect();
        let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
        let text: String = line.iter().map(printable).collect();
        log::info!("{:04X}: {hex:<48}   {text}", number * 16);
    }
}
