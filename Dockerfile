# One image with every service and the command line. Which one a container runs, its command says; without one it is
# `stream-pulse up`: all of it in one process.

FROM rust:1.95-slim-bookworm AS build
# librdkafka is built from source: with TLS, it needs OpenSSL and its headers.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tools tools
COPY postgres postgres
ARG PULSE_COMMIT=unknown
# The caches hold what was built before: only what has changed is built again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    PULSE_COMMIT="$PULSE_COMMIT" CARGO_PROFILE_RELEASE_STRIP=symbols \
    cargo build --release --locked --bins --features service,tls,stream-pulse/kafka \
      -p stream-pulse -p pulse-simulator -p pulse-stream-processor -p pulse-ml-service -p pulse-anomaly-writer \
      -p pulse-dashboard -p pulse-backends \
 && mkdir /out \
 && cd target/release \
 && cp stream-pulse simulator stream-processor ml-service anomaly-writer dashboard /out

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 socat \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 10001 -g 10001 /data /models
COPY --from=build /out/ /usr/local/bin/
COPY usecases /usecases
ENV PULSE__USECASES=/usecases \
    PULSE__DATA_DIR=/data \
    PULSE__HTTP__HOST=0.0.0.0 \
    PULSE__LOG__FORMAT=json
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000 8501 9101 9102 9103
CMD ["stream-pulse", "up"]
