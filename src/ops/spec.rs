//! The OCI runtime specification of a container, from its record.

pub mod caps;
