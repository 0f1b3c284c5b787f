//! Directives that are not honoured and restrict nothing: the rest is served without them. Those that only define something,
//! such as a zone of limits, are among them: what uses it is not honoured either, and closes.

/// Names, or with `*` the beginnings of names.
const HARMLESS: &[&str] = &[
    "absolute_redirect",
    "add_trailer",
    "aio*",
    "brotli*",
    "charset*",
    "chunked_transfer_encoding",
    "client_body_buffer_size",
    "client_body_in_file_only",
    "client_body_in_single_buffer",
    "client_body_temp_path",
    "client_body_timeout",
    "client_header_buffer_size",
    "client_header_timeout",
    "connection_pool_size",
    "directio*",
    "error_log",
    "etag",
    "fastcgi_buffer*",
    "fastcgi_busy_buffers_size",
    "fastcgi_connect_timeout",
    "fastcgi_index",
    "fastcgi_keep_conn",
    "fastcgi_read_timeout",
    "fastcgi_send_timeout",
    "fastcgi_split_path_info",
    "fastcgi_temp*",
    "geo",
    "grpc_buffer_size",
    "grpc_connect_timeout",
    "grpc_next_upstream*",
    "grpc_read_timeout",
    "grpc_send_timeout",
    "grpc_socket_keepalive",
    "gunzip",
    "gzip*",
    "http2*",
    "if_modified_since",
    "keepalive*",
    "large_client_header_buffers",
    "limit_conn_log_level",
    "limit_conn_status",
    "limit_conn_zone",
    "limit_rate",
    "limit_rate_after",
    "limit_req_log_level",
    "limit_req_status",
    "limit_req_zone",
    "lingering*",
    "log_format",
    "log_not_found",
    "log_subrequest",
    "lua_shared_dict",
    "map_hash*",
    "max_ranges",
    "open_file_cache*",
    "open_log_file_cache",
    "opentelemetry*",
    "opentracing*",
    "output_buffers",
    "port_in_redirect",
    "postpone_output",
    "proxy_buffer*",
    "proxy_busy_buffers_size",
    "proxy_cache*",
    "proxy_connect_timeout",
    "proxy_cookie*",
    "proxy_force_ranges",
    "proxy_headers_hash*",
    "proxy_http_version",
    "proxy_ignore_client_abort",
    "proxy_ignore_headers",
    "proxy_intercept_errors",
    "proxy_limit_rate",
    "proxy_max_temp_file_size",
    "proxy_next_upstream*",
    "proxy_no_cache",
    "proxy_pass_header",
    "proxy_read_timeout",
    "proxy_redirect",
    "proxy_request_buffering",
    "proxy_send_lowat",
    "proxy_send_timeout",
    "proxy_socket_keepalive",
    "proxy_ssl_name",
    "proxy_ssl_server_name",
    "proxy_ssl_session_reuse",
    "proxy_temp*",
    "read_ahead",
    "recursive_error_pages",
    "request_pool_size",
    "reset_timedout_connection",
    "resolver*",
    "rewrite_log",
    "send_lowat",
    "send_timeout",
    "split_clients",
    "sendfile*",
    "server_name_in_redirect",
    "server_names_hash*",
    "server_tokens",
    "ssi*",
    "ssl_buffer_size",
    "ssl_session*",
    "ssl_stapling*",
    "sub_filter*",
    "subrequest_output_buffer_size",
    "tcp_nodelay",
    "tcp_nopush",
    "types_hash*",
    "uninitialized_variable_warn",
    "upstream",
    "variables_hash*",
    "vhost_traffic_status*",
    "zstd*",
];

/// Directives that are understood, and whose values, if wrong, open nothing.
const UNDERSTOOD: &[&str] = &[
    "more_set_headers",
    "more_clear_headers",
    "add_header",
    "expires",
    "default_type",
    "access_log",
];

/// Whether what is beside the directive may be served without it.
pub(super) fn is_harmless(name: &str) -> bool {
    let listed = HARMLESS
        .iter()
        .any(|harmless| match harmless.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *harmless,
        });
    listed || UNDERSTOOD.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_restricts_or_sets_fields_for_backends_is_not_harmless() {
        for name in [
            "limit_req",
            "limit_conn",
            "grpc_set_header",
            "fastcgi_param",
            "proxy_set_header",
            "more_set_input_headers",
            "deny",
            "return",
        ] {
            assert!(!is_harmless(name), "{name}");
        }
        for name in [
            "limit_req_status",
            "limit_conn_status",
            "limit_req_log_level",
            "gzip_types",
        ] {
            assert!(is_harmless(name), "{name}");
        }
    }
}
