#![no_main]

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| inputs::dockerfile(data));
