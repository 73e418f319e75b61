#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zlink_fuzz::z85(data));
