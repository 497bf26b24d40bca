//! `containers.conf`: the keys that dhow honours, merged from the files where they already are.
