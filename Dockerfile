# syntax=docker/dockerfile:1

# The image: one static program on an empty base. Nothing else is in it but the authorities of the public web and /tmp.
#
#   docker build -t headgate:0.1.0 --build-arg COMMIT="$(git rev-parse HEAD)" \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
#
# The same commit, arguments and builder image give the same program. For the same image add
# `--output type=image,rewrite-timestamp=true`; for an SBOM and provenance `--sbom=true --provenance=mode=max`.

# Pin it by digest for a release: rust:1.95-alpine@sha256:…
ARG RUST_IMAGE=rust:1.95-alpine

FROM ${RUST_IMAGE} AS builder

# On Alpine the Rust target is musl and links statically. The cryptography library and the allocator are C.
# libcap-setcap writes the file capability below. Versions are those of the builder image's Alpine release: an older one
# would be gone from its mirrors.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base ca-certificates cmake libcap-setcap linux-headers perl

# The version of cargo-auditable, which lists the dependencies inside of the program for scanners; empty: without.
ARG CARGO_AUDITABLE=""
RUN if [ -n "${CARGO_AUDITABLE}" ]; then cargo install --locked --version "${CARGO_AUDITABLE}" cargo-auditable; fi

WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY crates crates
COPY src src

ARG COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
# Paths of this stage do not get into the program, and neither does the number of parallel units of a machine (the release
# profile has one). Line tables stay out: the names of functions are enough for a report.
ENV CARGO_INCREMENTAL=0 \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo \
    HEADGATE_BUILD=${COMMIT} \
    RUSTFLAGS="--remap-path-prefix=/source=. --remap-path-prefix=/usr/local/cargo=cargo" \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    if [ -n "${CARGO_AUDITABLE}" ]; then set -- auditable build; else set -- build; fi \
 && cargo "$@" --release --locked --package headgate --bin headgate

# An unprivileged process that listens on port 80 in the node's network (`hostNetwork`) needs NET_BIND_SERVICE, and the kernel
# gives it to a process of another user than root only through the file. It holds with allowPrivilegeEscalation=false as long
# as the container has the capability, because nothing is gained beyond what it has; a container without it cannot start
# the file at all. In a network of its own the chart uses the sysctl net.ipv4.ip_unprivileged_port_start besides.
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

# ingress-nginx's user and group, which policies may name.
USER 101:82

# HTTP, HTTPS, health and metrics, admission webhook.
EXPOSE 80 443 10254 8443

ENTRYPOINT ["/headgate"]
CMD ["controller"]
