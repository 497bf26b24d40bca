//! Parsers of what users type about containers: `&str` in, checked values out, nothing read from the host.
