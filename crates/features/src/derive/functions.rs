//! Which functions a program may call: those whose result depends on their arguments alone.

use vrl::compiler::Function;

/// Functions that ask the clock, chance, the environment, the network, the file system or the host's time zone, that write a
/// log, or that could not be shown not to. (`parse_timestamp` and `format_timestamp` take `local` for a time zone.)
const IMPURE: [&str; 29] = [
    "dns_lookup",
    "encode_proto",
    "encrypt",
    "encrypt_ip",
    "format_timestamp",
    "get_env_var",
    "get_hostname",
    "get_secret",
    "get_timezone_name",
    "http_request",
    "log",
    "now",
    "parse_groks",
    "parse_grok",
    "parse_klog",
    "parse_linux_authorization",
    "parse_proto",
    "parse_syslog",
    "parse_timestamp",
    "random_bool",
    "random_bytes",
    "random_float",
    "random_int",
    "remove_secret",
    "reverse_dns",
    "set_secret",
    "uuid_v4",
    "uuid_v7",
    "validate_json_schema",
];

/// Whether the function `name` is known to depend on more than its arguments.
pub(super) fn is_impure(name: &str) -> bool {
    IMPURE.contains(&name)
}

/// The functions that a program may call.
pub(super) fn pure() -> Vec<Box<dyn Function>> {
    vrl::stdlib::all().into_iter().filter(|function| !is_impure(function.identifier())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new version of VRL may bring a new impure function: read what it adds, then change the number.
    #[test]
    fn every_function_of_this_version_was_looked_at() {
        let all = vrl::stdlib::all();
        assert_eq!(all.len(), 182, "{:?}", all.iter().map(|f| f.identifier()).collect::<Vec<_>>());
        let random: Vec<_> = pure().iter().filter(|f| f.category() == "Random").map(|f| f.identifier()).collect();
        assert_eq!(random, ["uuid_from_friendly_id"], "it only decodes its argument");
    }
}
