//! Files as people write them: official images, application images, odd formatting.

use std::collections::BTreeSet;

use super::super::graph::{Origin, plan};
use super::super::parse;
use super::{actions, globals};

/// The keywords of each stage, after its base and name, and what the last stage needs.
fn outline(text: &str) -> String {
    let file = parse("Dockerfile", text).unwrap();
    actions(text).unwrap();
    let plan = plan(&file, &globals(&file), None, &BTreeSet::new()).unwrap();
    let mut out = String::new();
    for (stage, planned) in file.stages.iter().zip(plan.stages) {
        let Some(planned) = planned else {
            out += &format!("({})\n", stage.label());
            continue;
        };
        let keywords: Vec<&str> = stage.steps.iter().map(|step| step.instruction.keyword()).collect();
        let base = match planned.base {
            Origin::Scratch => "scratch".to_owned(),
            Origin::Stage(index) => format!("#{index}"),
            Origin::Context(name) | Origin::Image(name) => name,
        };
        out += &format!("{base} {}\n", keywords.join(" "));
    }
    out
}

const DEBIAN: &str = "FROM scratch\nADD rootfs.tar.xz /\nCMD [\"bash\"]";

const POSTGRES: &str = r#"#
# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"
#
# PLEASE DO NOT EDIT IT DIRECTLY.
#
FROM debian:bookworm-slim

# explicitly set user/group IDs
RUN set -eux; \
	groupadd -r postgres --gid=999; \
# https://salsa.debian.org/postgresql/postgresql-common
	useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres; \
# also create the postgres user's home directory with appropriate permissions
# see https://github.com/docker-library/postgres/issues/274
	install --verbose --directory --owner postgres --group postgres --mode 1777 /var/lib/postgresql

ENV GOSU_VERSION 1.17
RUN set -eux; \
	savedAptMark="$(apt-mark showmanual)"; \
	apt-get update; \
	dpkgArch="$(dpkg --print-architecture | awk -F- '{ print $NF }')"; \
	wget -O /usr/local/bin/gosu "https://example.com/$GOSU_VERSION/gosu-$dpkgArch"; \
	[ -z "$savedAptMark" ] || apt-mark manual $savedAptMark > /dev/null; \
	gosu nobody true

RUN mkdir /docker-entrypoint-initdb.d
ENV PG_MAJOR 16
ENV PG_VERSION 16.4-1.pgdg120+1
ENV PATH $PATH:/usr/lib/postgresql/$PG_MAJOR/bin
ENV PGDATA /var/lib/postgresql/data
RUN install --verbose --directory --owner postgres --group postgres --mode 1777 "$PGDATA"
VOLUME /var/lib/postgresql/data

COPY docker-entrypoint.sh docker-ensure-initdb.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
#
# An additional setting that is recommended for all users regardless of this value
#
EXPOSE 5432
CMD ["postgres"]
"#;

const NODE: &str = r#"# syntax=docker/dockerfile:1
ARG NODE_VERSION=20.11.0
FROM node:${NODE_VERSION}-alpine as base
WORKDIR /usr/src/app
FROM base as deps
RUN --mount=type=bind,source=package.json,target=package.json \
    --mount=type=bind,source=package-lock.json,target=package-lock.json \
    --mount=type=cache,target=/root/.npm \
    npm ci --omit=dev
FROM deps as build
RUN --mount=type=bind,source=package.json,target=package.json \
    --mount=type=cache,target=/root/.npm \
    npm ci
COPY . .
RUN npm run build
FROM base as final
ENV NODE_ENV production
USER node
COPY package.json .
COPY --from=deps /usr/src/app/node_modules ./node_modules
COPY --from=build /usr/src/app/dist ./dist
EXPOSE 3000
CMD npm start
"#;

const RUST: &str = r#"# syntax=docker/dockerfile:1.4
FROM --platform=$BUILDPLATFORM rust:1-slim AS build
ARG TARGETPLATFORM
ARG BUILDPLATFORM
RUN case "$TARGETPLATFORM" in \
      "linux/arm64") echo aarch64-unknown-linux-musl > /target ;; \
      *) echo x86_64-unknown-linux-musl > /target ;; \
    esac
WORKDIR /src
COPY --link Cargo.toml Cargo.lock ./
COPY --link src src
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=target-${TARGETPLATFORM},target=/src/target <<EOF
set -eux
cargo build --release --target "$(cat /target)"
cp "target/$(cat /target)/release/app" /app
EOF

FROM build AS test
RUN cargo test

FROM scratch
COPY --from=build --chmod=0755 /app /app
LABEL org.opencontainers.image.source="https://example.com/app" \
      org.opencontainers.image.title="An app" \
      maintainer='A <a@example.com>'
ENTRYPOINT ["/app"]
"#;

const GO: &str = "FROM golang:1.22 AS golang\r\nWORKDIR /src\r\nARG VERSION=dev\r\nARG LDFLAGS=\"-s -w -X main.version=${VERSION}\"\r\n\
COPY go.* .\r\nRUN --mount=type=cache,target=/go/pkg/mod --mount=type=secret,id=netrc,target=/root/.netrc \\\r\n  --mount=type=ssh go mod download\r\n\
COPY . .\r\nRUN CGO_ENABLED=0 go build -ldflags \"$LDFLAGS\" -o /out .\r\n\r\nFROM gcr.io/distroless/static:nonroot\r\n\
COPY --from=golang --chown=nonroot:nonroot /out /app\r\nUSER nonroot:nonroot\r\nENTRYPOINT [ \"/app\" ]\r\n";

const NGINX: &str = r#"FROM nginx:${TAG:-alpine}
COPY <<"EOF" /etc/nginx/conf.d/default.conf
server {
    listen 80;
    location ~ \.php$ { return 404; }
    # stays
    location / { try_files $uri $uri/ /index.html; }
}
EOF
COPY <<-index.html <<robots.txt /usr/share/nginx/html/
	<h1>$NGINX_VERSION</h1>
	index.html
User-agent: *
robots.txt
COPY dist/ /usr/share/nginx/html
HEALTHCHECK --interval=5m --timeout=3s \
  CMD curl -f http://localhost/ || exit 1
EXPOSE 80 443/tcp 443/udp
"#;

const PYTHON: &str = r#"FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \

    PIP_NO_CACHE_DIR=off

# Create a non-privileged user that the app will run under.
ARG UID=10001
RUN adduser \
    --disabled-password \
    --gecos "" \
    --uid "${UID}" \
    appuser
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl -sSL https://install.example.com | python3 -
COPY --chown=$UID:$UID requirements*.txt /tmp/
ADD https://example.com/models/${MODEL:-small}.tar.gz?raw=true /models/
WORKDIR /app
WORKDIR src
VOLUME ["/data", "/logs"]
CMD ["gunicorn", "app:app", "--bind=0.0.0.0:8000"]
"#;

const ONBUILD: &str = r#"FROM node:18
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ARG NODE_ENV
ENV NODE_ENV $NODE_ENV
ONBUILD ARG NODE_ENV
ONBUILD ENV NODE_ENV $NODE_ENV
ONBUILD COPY package.json /usr/src/app/
ONBUILD RUN npm install && npm cache clean --force
ONBUILD COPY . /usr/src/app
CMD [ "npm", "start" ]
"#;

const WINDOWS: &str = r#"# escape=`

FROM mcr.microsoft.com/windows/servercore
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
WORKDIR C:\app
COPY testfile.txt c:\
RUN Invoke-WebRequest -Uri $env:URL `
    -OutFile C:\x.zip; `
    Expand-Archive C:\x.zip
ENV PATH="C:\tools;${PATH}"
"#;

const ODD: &str = "\u{feff}#comment\n   FROM   busybox:latest   As   Base  \n\n\tRUN\techo \"a\\\\b\" \\\n# c\n\n   # d\n && echo '#no'\\\n;true\n\
env A=1 B=\"x \\\"y\\\" z\" C=$A\nEnV D   spaced   out\nlabel \"a b\"='c d' e=f\\ g\nONBUILD add . /x\n\
entrypoint [\"a\",\"b\\u0041\"]\nmaintainer nobody\nfrom base\nrun [\"/bin/echo\", \"x\"]\nEXPOSE 1000-1003/UDP";

#[test]
fn real_files_are_understood() {
    let table = [
        (DEBIAN, "scratch ADD CMD\n"),
        (
            POSTGRES,
            "debian:bookworm-slim RUN ENV RUN RUN ENV ENV ENV ENV RUN VOLUME COPY ENTRYPOINT STOPSIGNAL EXPOSE CMD\n",
        ),
        (
            NODE,
            "node:20.11.0-alpine WORKDIR\n#0 RUN\n#1 RUN COPY RUN\n#0 ENV USER COPY COPY COPY EXPOSE CMD\n",
        ),
        (RUST, "rust:1-slim ARG ARG RUN WORKDIR COPY COPY RUN\n(test)\nscratch COPY LABEL ENTRYPOINT\n"),
        (
            GO,
            "golang:1.22 WORKDIR ARG ARG COPY RUN COPY RUN\ngcr.io/distroless/static:nonroot COPY USER ENTRYPOINT\n",
        ),
        (NGINX, "nginx:alpine COPY COPY COPY HEALTHCHECK EXPOSE\n"),
        (PYTHON, "python:3.12-slim ENV ARG RUN SHELL RUN COPY ADD WORKDIR WORKDIR VOLUME CMD\n"),
        (ONBUILD, "node:18 RUN WORKDIR ARG ENV ONBUILD ONBUILD ONBUILD ONBUILD ONBUILD CMD\n"),
        (WINDOWS, "mcr.microsoft.com/windows/servercore SHELL WORKDIR COPY RUN ENV\n"),
        (ODD, "busybox:latest RUN ENV ENV LABEL ONBUILD ENTRYPOINT MAINTAINER\n#0 RUN EXPOSE\n"),
    ];
    for (text, expected) in table {
        assert_eq!(outline(text), expected, "{text}");
    }
}

#[test]
fn comments_inside_a_long_command_vanish() {
    let file = parse("Dockerfile", POSTGRES).unwrap();
    let run = &file.stages[0].steps[0].source;
    assert_eq!((run.first, run.last), (9, 15));
    assert!(!run.text.contains('#') && run.text.contains("--uid=999"), "{}", run.text);
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
}
