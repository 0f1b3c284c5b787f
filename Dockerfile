# syntax=docker/dockerfile:1

# The image: a static program, the public CA certificates and /tmp, on an empty base.
#
#   docker build -t headgate:0.1.0 --build-arg COMMIT="$(git rev-parse HEAD)" \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
#
# The same commit, arguments and builder image give the same program. For the same image add
# `--output type=image,rewrite-timestamp=true`; for an SBOM and provenance `--sbom=true --provenance=mode=max`.

# Pin it by digest for a release: rust:1.95-alpine@sha256:…
ARG RUST_IMAGE=rust:1.95-alpine

FROM ${RUST_IMAGE} AS builder

# On Alpine the Rust target is musl, which links statically. The cryptography library and the allocator are C. libcap-setcap
# writes the file capability below. Packages are not pinned: Alpine removes old versions from its mirrors.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base ca-certificates cmake libcap-setcap linux-headers perl

# Version of cargo-auditable, which embeds the list of dependencies for scanners; empty: not used.
ARG CARGO_AUDITABLE=""
RUN if [ -n "${CARGO_AUDITABLE}" ]; then cargo install --locked --version "${CARGO_AUDITABLE}" cargo-auditable; fi

WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY charts/headgate/values.schema.json charts/headgate/values.schema.json
COPY crates crates
COPY src src

ARG COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
# Keeps the build reproducible: no paths of this stage in the program (the release profile has one codegen unit). Line tables
# are stripped; function names are enough for a backtrace.
ENV CARGO_INCREMENTAL=0 \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo \
    HEADGATE_BUILD=${COMMIT} \
    RUSTFLAGS="--remap-path-prefix=/source=. --remap-path-prefix=/usr/local/cargo=cargo" \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    if [ -n "${CARGO_AUDITABLE}" ]; then set -- auditable build; else set -- build; fi \
 && cargo "$@" --release --locked --package headgate --bin headgate

# With `hostNetwork` an unprivileged process needs NET_BIND_SERVICE to bind port 80, and gets it only from a file capability.
# This works with allowPrivilegeEscalation=false, because the container has the capability already; a container without it
# cannot start the file. Without `hostNetwork` the chart also sets the sysctl net.ipv4.ip_unprivileged_port_start.
RUN mkdir -p /image/etc/ssl/certs /image/tmp \
 && chmod 1777 /image/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
 && cp target/release/headgate /image/headgate \
 && setcap cap_net_bind_service=+ep /image/headgate

FROM scratch

ARG COMMIT=unknown
ARG VERSION=0.1.0
ARG SOURCE=""
LABEL org.opencontainers.image.title="Headgate" \
      org.opencontainers.image.description="A Layer-7 ingress controller for Kubernetes that takes ingress-nginx manifests unchanged" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.source="${SOURCE}"

COPY --from=builder /image/ /

# User and group of ingress-nginx, which policies may name.
USER 101:82

# HTTP, HTTPS, health and metrics, admission webhook.
EXPOSE 80 443 10254 8443

ENTRYPOINT ["/headgate"]
CMD ["controller"]
