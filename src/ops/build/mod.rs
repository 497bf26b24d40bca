//! `build`: images out of Dockerfiles.
//!
//! ```text
//! copy       what COPY and ADD bring: finding, digesting, placing
//! ```

pub mod copy;
