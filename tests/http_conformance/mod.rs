//! Requests as tables, by subject, and the bench that they are run on.
//!
//! | file | what it has |
//! |---|---|
//! | `row` | what a row says: bytes, answers, the connection's fate |
//! | `bench` | runs a row in every cut, and compares |
//! | `answers` | reads answers, strictly |
//! | `house` | what is served |
//! | the others | rows |

pub mod answers;
pub mod bench;
pub mod house;
pub mod row;

pub mod bodies;
pub mod chunks;
pub mod conditions;
pub mod connections;
pub mod early;
pub mod expectations;
pub mod fields;
pub mod framing;
pub mod hosts;
pub mod methods;
pub mod mounts;
pub mod paths;
pub mod pipelines;
pub mod request_lines;
pub mod sizes;
