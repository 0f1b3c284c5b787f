//! The settings of the whole data plane that differ from the defaults.

use super::facts::{Facts, error_pages_fact, nets, value};
use super::streams::stream_facts;
use crate::{
    AccessLogSettings, ClientLimits, Compression, ForwardedTrust, PoolSettings, Settings,
    TlsSettings, TracingSettings,
};

/// Settings that are not their defaults. Destructured in full, so that a new one cannot be forgotten.
pub(super) fn settings_facts(settings: &Settings) -> Vec<String> {
    let defaults = Settings::default();
    let Settings {
        forwarded,
        blocked,
        client,
        tls,
        ocsp,
        hsts,
        pool,
        access_log,
        streams,
        redirect_status,
        limit_status,
        limit_connections_status,
        limit_key,
        http2,
        generate_request_id,
        add_original_uri,
        location,
        underscores_in_headers,
        invalid_headers,
        request_headers,
        response_headers,
        hidden_headers,
        server_tokens,
        backend_server_header,
        error_pages,
        compression,
        tracing,
        ipv4_only_names,
        counter_clients,
        default_type,
        maps,
        drain,
        health_path,
    } = settings;
    let mut facts = Facts::default();
    trust(forwarded, &mut facts);
    if let Some(blocked) = blocked {
        for text in blocked.user_agents.entries() {
            facts.push(format!("blocks-user-agent {text:?}"));
        }
        for text in blocked.referers.entries() {
            facts.push(format!("blocks-referer {text:?}"));
        }
    }
    client_facts(client, &mut facts);
    tls_facts(tls, &mut facts);
    facts.holds("ocsp", *ocsp);
    if *hsts != defaults.hsts {
        let text = hsts
            .as_ref()
            .map_or_else(|| "off".into(), |hsts| value(&hsts.value));
        facts.push(format!("hsts {text}"));
    }
    pool_facts(pool, &mut facts);
    log_facts(access_log, &mut facts);
    stream_facts(streams, &mut facts);
    facts.differs(
        "redirect-status",
        redirect_status,
        &defaults.redirect_status,
    );
    facts.differs("limit-status", limit_status, &defaults.limit_status);
    facts.differs(
        "limit-connections-status",
        limit_connections_status,
        &defaults.limit_connections_status,
    );
    if *limit_key != defaults.limit_key {
        facts.push(format!("limit-key {limit_key}"));
    }
    facts.holds("no-http2", !http2);
    facts.holds("no-request-id", !generate_request_id);
    facts.holds("original-uri", *add_original_uri);
    facts.holds("location", *location);
    facts.holds("underscores-in-headers", *underscores_in_headers);
    facts.holds("invalid-headers", *invalid_headers);
    for (name, template) in request_headers.iter() {
        facts.push(format!("request-header {name}={template}"));
    }
    for (name, text) in response_headers.iter() {
        facts.push(format!("response-header {name}={text}"));
    }
    for name in hidden_headers.iter() {
        facts.push(format!("hides {name}"));
    }
    facts.holds("server-tokens", *server_tokens);
    facts.holds("backend-server-header", *backend_server_header);
    facts.some("error-pages", error_pages.as_deref().map(error_pages_fact));
    if let Some(compression) = compression {
        compression_facts(compression, &mut facts);
    }
    tracing_facts(tracing, &mut facts);
    facts.holds("ipv4-only-names", *ipv4_only_names);
    if *counter_clients != defaults.counter_clients {
        facts.push(format!("counter-clients {}", nets(counter_clients)));
    }
    if *default_type != defaults.default_type {
        facts.push(format!("default-type {}", value(default_type)));
    }
    for map in maps.iter() {
        facts.push(format!(
            "map ${} of {} ({} values)",
            map.name,
            map.source,
            map.len()
        ));
    }
    facts.differs("drain", drain, &defaults.drain);
    facts.differs("health-path", health_path, &defaults.health_path);
    facts.list()
}

fn tracing_facts(tracing: &TracingSettings, facts: &mut Facts) {
    let defaults = TracingSettings::default();
    let TracingSettings {
        collector,
        service,
        sampler,
        queue,
        delay,
        batch,
    } = tracing;
    if let Some(collector) = collector {
        let tls = if collector.tls { " tls" } else { "" };
        let port = collector.port.map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        facts.push(format!("collector {}{port}{tls}", collector.host));
    }
    facts.some("trace-service", service.as_deref());
    facts.differs("sampler", &sampler.root, &defaults.sampler.root);
    facts.holds("ignores-parent", !sampler.parent_based);
    facts.differs("span-queue", queue, &defaults.queue);
    facts.differs("span-delay", delay, &defaults.delay);
    facts.differs("span-batch", batch, &defaults.batch);
}

fn compression_facts(compression: &Compression, facts: &mut Facts) {
    let Compression {
        coders,
        gzip_disabled,
    } = compression;
    for coder in coders.iter() {
        facts.push(format!("compresses {coder}"));
    }
    let disabled = gzip_disabled.as_ref();
    facts.some("gzip-disabled", disabled.map(crate::Pattern::source));
}

fn trust(forwarded: &ForwardedTrust, facts: &mut Facts) {
    let defaults = ForwardedTrust::default();
    let ForwardedTrust {
        use_forwarded_headers,
        real_ip,
        append,
        for_header,
        host_header,
        trusted,
        proxy_protocol,
        proxy_protocol_timeout,
    } = forwarded;
    facts.holds("forwarded-headers", *use_forwarded_headers);
    facts.holds("real-ip", *real_ip);
    facts.holds("appends-forwarded-for", *append);
    facts.differs("for-header", for_header, &defaults.for_header);
    facts.differs("host-header", host_header, &defaults.host_header);
    if *trusted != defaults.trusted {
        facts.push(format!("trusted {}", nets(trusted)));
    }
    facts.holds("proxy-protocol", *proxy_protocol);
    facts.differs(
        "proxy-protocol-timeout",
        proxy_protocol_timeout,
        &defaults.proxy_protocol_timeout,
    );
}

fn client_facts(client: &ClientLimits, facts: &mut Facts) {
    let defaults = ClientLimits::default();
    let ClientLimits {
        head_timeout,
        body_timeout,
        write_timeout,
        handshake_timeout,
        keep_alive,
        keep_alive_requests,
        connection_age,
        request_line,
        header_field,
        head,
        header_count,
        http2_streams,
        worker_connections,
        body_min_rate,
        temporary_files,
        connections_per_client,
        handshakes,
        queue_time,
    } = client;
    for (name, time, default) in [
        ("head-timeout", head_timeout, defaults.head_timeout),
        ("body-timeout", body_timeout, defaults.body_timeout),
        ("write-timeout", write_timeout, defaults.write_timeout),
        (
            "handshake-timeout",
            handshake_timeout,
            defaults.handshake_timeout,
        ),
        ("keep-alive", keep_alive, defaults.keep_alive),
        ("connection-age", connection_age, defaults.connection_age),
    ] {
        facts.differs(name, time, &default);
    }
    facts.differs(
        "keep-alive-requests",
        keep_alive_requests,
        &defaults.keep_alive_requests,
    );
    for (name, size, default) in [
        ("request-line", request_line, defaults.request_line),
        ("header-field", header_field, defaults.header_field),
        ("head", head, defaults.head),
        ("header-count", header_count, defaults.header_count),
    ] {
        facts.differs(name, size, &default);
    }
    facts.differs("http2-streams", http2_streams, &defaults.http2_streams);
    facts.some("worker-connections", *worker_connections);
    facts.differs("body-min-rate", body_min_rate, &defaults.body_min_rate);
    facts.some("temporary-files", *temporary_files);
    facts.some("connections-per-client", *connections_per_client);
    facts.some("handshakes", *handshakes);
    facts.differs("queue-time", queue_time, &defaults.queue_time);
}

fn tls_facts(tls: &TlsSettings, facts: &mut Facts) {
    let TlsSettings {
        tls12,
        tls13,
        ciphers,
        client_order,
        groups,
        session_cache,
        session_cache_size,
        session_timeout,
        session_tickets,
        ticket_key,
        reject_unknown,
    } = tls;
    facts.holds("no-tls1.2", !tls12);
    facts.holds("no-tls1.3", !tls13);
    let defaults = TlsSettings::default();
    if *ciphers != defaults.ciphers {
        facts.push(format!("ciphers {}", ciphers.join(":")));
    }
    facts.holds("no-session-cache", !session_cache);
    facts.holds("client-order", *client_order);
    if !groups.is_empty() {
        facts.push(format!("groups {groups:?}"));
    }
    facts.differs(
        "session-cache-size",
        session_cache_size,
        &defaults.session_cache_size,
    );
    facts.differs(
        "session-timeout",
        session_timeout,
        &defaults.session_timeout,
    );
    facts.holds("session-tickets", *session_tickets);
    facts.holds("ticket-key", ticket_key.is_some());
    facts.holds("reject-unknown", *reject_unknown);
}

fn pool_facts(pool: &PoolSettings, facts: &mut Facts) {
    let defaults = PoolSettings::default();
    let PoolSettings {
        idle,
        idle_timeout,
        requests,
        age,
    } = pool;
    facts.differs("upstream-idle", idle, &defaults.idle);
    facts.differs(
        "upstream-idle-timeout",
        idle_timeout,
        &defaults.idle_timeout,
    );
    facts.differs("upstream-requests", requests, &defaults.requests);
    facts.differs("upstream-age", age, &defaults.age);
}

fn log_facts(log: &AccessLogSettings, facts: &mut Facts) {
    let AccessLogSettings {
        enabled,
        default_backend,
        subrequests,
        skip,
        format,
        errors,
    } = log;
    facts.holds("no-access-log", !enabled);
    facts.holds("logs-default-backend", *default_backend);
    if !skip.is_empty() {
        facts.push(format!("skips {}", skip.join(",")));
    }
    facts.holds("logs-subrequests", *subrequests);
    facts.holds("no-error-lines", !errors);
    if let Some(format) = format {
        let escape = format!("{:?}", format.escape).to_lowercase();
        facts.push(format!("log-format {escape} {}", format.template));
    }
}
