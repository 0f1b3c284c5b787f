# syntax=docker/dockerfile:1

# The image: a static program, the public CA certificates, an SBOM and /tmp, on an empty base.
#
#   docker build -t headgate:0.1.0 --build-arg COMMIT="$(git rev-parse HEAD)" \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
#
# charts/image/root builds everything in it, here as in the tests; charts/image/build makes the same image without Docker. The
# program is built twice: first to record what requests do, and then optimized for it. With `--build-arg HEADGATE_PROFILE=none` it
# is built once, without; so build for another architecture than that of the machine. The same commit, arguments and builder image
# then give the same files (with a recorded profile charts/image/root does that); for the same image add
# `--output type=image,rewrite-timestamp=true`, and for provenance `--provenance=mode=max`. Tests run on amd64; arm64
# (`--platform linux/arm64`) is built in the same way, and is not tested.

# Pin it by digest for a release: rust:1.95-bookworm@sha256:…
ARG RUST_IMAGE=rust:1.95-bookworm

FROM ${RUST_IMAGE} AS builder

# The cryptography library and the allocator are C. libcap2-bin has setcap. Packages are not pinned: Debian removes old versions
# from its mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates cmake libcap2-bin python3 \
      llvm-19 nghttp2-client nginx-light openssl wrk \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY charts/headgate/values.schema.json charts/headgate/values.schema.json
COPY charts/image charts/image
COPY crates crates
COPY src src

ARG COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
ARG HEADGATE_PROFILE=record
ENV HEADGATE_BUILD=${COMMIT} \
    HEADGATE_PROFILE=${HEADGATE_PROFILE} \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
RUN --mount=type=cache,target=/usr/local/cargo/registry charts/image/root /image

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

COPY --from=builder /image/root/ /

# User and group of ingress-nginx, which policies may name.
USER 101:82

# HTTP, HTTPS, health and metrics, admission webhook.
EXPOSE 80 443 10254 8443

ENTRYPOINT ["/headgate"]
CMD ["controller"]
