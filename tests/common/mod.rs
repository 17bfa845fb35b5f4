//! What the native and the workerd tests share: one status table, and tokens made to order.

pub mod callers;
pub mod forge;
pub mod table;
pub mod who;
