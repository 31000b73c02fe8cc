# One image with every service and the command line. Which one a container runs, its command says; without one it is
# `stream-pulse up`: all of it in one process.

FROM rust:1.95.0-slim-bookworm AS toolchain
# librdkafka is built from source: with TLS, it needs OpenSSL and its headers.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# What is built, here and in development.
ENV BUILD_OPTIONS="--locked --bins --features service,tls,stream-pulse/kafka -p stream-pulse -p pulse-simulator \
      -p pulse-stream-processor -p pulse-ml-service -p pulse-anomaly-writer -p pulse-dashboard -p pulse-backends" \
    BINARIES="stream-pulse simulator stream-processor ml-service anomaly-writer dashboard"

# Development (docker-compose.dev.yml): nothing of the source is in this image, so that changing it makes no new one.
FROM toolchain AS dev
# Volumes take over the owner of the folder that they are mounted on.
RUN apt-get update \
 && apt-get install -y --no-install-recommends haproxy inotify-tools \
 && rm -rf /var/lib/apt/lists/* \
 && chmod a+w "$CARGO_HOME" \
 && install -d -o 10001 -g 10001 /binaries /models /target "$CARGO_HOME/registry"
COPY docker/dev.sh /usr/local/bin/dev
ENV PATH=/binaries:$PATH \
    CARGO_TARGET_DIR=/target \
    PULSE__USECASES=/usecases \
    PULSE__HTTP__HOST=0.0.0.0
USER 10001:10001

# By itself, so that what follows is built anew for another commit, and not for whatever else moves in .git. A pattern, since there may
# be no such folder: in an archive of the source, and in a worktree, where .git is a file.
FROM debian:bookworm-slim AS commit
ARG PULSE_COMMIT=
COPY docker/commit.sh /
COPY .gi[t] /git/
RUN sh /commit.sh /git "$PULSE_COMMIT" >/commit

FROM toolchain AS build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tools tools
COPY postgres postgres
COPY --from=commit /commit /commit
# The caches hold what was built before. Of that, dependencies are taken, and our crates are built again: cargo goes by the time of a file,
# and what another branch left there may be younger than the files of this one. No layer has the dependencies: a builder that is new, or
# whose cache was pruned, compiles all of them once.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    find crates -name '*.rs' -exec touch {} + \
 && PULSE_COMMIT="$(cat /commit)" CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release $BUILD_OPTIONS \
 && mkdir /out \
 && cd target/release \
 && cp $BINARIES /out

# Not pinned to a date, unlike the others: apt takes the newest packages of bookworm in any case, and the base is to have the same fixes.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates haproxy libssl3 \
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
