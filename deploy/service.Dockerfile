# One image for each package that runs, from the repository's root:
#
#     docker build -f deploy/service.Dockerfile --build-arg SERVICE=order .
#
# `serve order.main --role worker`, `migrate order`, `python -m standins.sandbox`, `shop …` are its commands.
ARG PYTHON=python:3.13.13-slim-trixie


FROM ${PYTHON} AS workspace
WORKDIR /workspace
COPY . .
# Apart from the sources: a change of code then leaves the layer with the dependencies as it is.
RUN mkdir /manifests && find . -name pyproject.toml -exec cp --parents {} /manifests \; && cp uv.lock /manifests


FROM ${PYTHON} AS build
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/app/venv \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
ARG SERVICE
WORKDIR /workspace
COPY --from=workspace /manifests .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-workspace --package "${SERVICE:?say which, for example --build-arg SERVICE=order}"
COPY --from=workspace /workspace .
# uv would compile everything again, and notes when it has seen the sources: with neither, a change of code costs little,
# and the same code is the same layer, whatever changed elsewhere.
RUN --mount=type=cache,target=/root/.cache/uv \
    UV_COMPILE_BYTECODE=0 uv sync --frozen --no-dev --no-editable --package "${SERVICE}" \
    && cd /app/venv/lib/python3.*/site-packages \
    && for package in /workspace/*/src/*/ /workspace/tools/*/src/*/; do find . -maxdepth 1 -name "$(basename "${package}")"; done \
        | xargs /app/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
    && rm -f *.dist-info/uv_cache.json \
    && sed -i '/uv_cache.json/d' *.dist-info/RECORD


FROM ${PYTHON} AS runtime
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
    && install -d -o app -g app -m 0700 /data \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip
ENV PATH=/app/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
ARG SERVICE
LABEL org.opencontainers.image.title="saga-shop ${SERVICE}" \
      org.opencontainers.image.description="A choreographed, event-driven checkout saga on RabbitMQ: ${SERVICE}" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=build /app/venv venv
USER 10001:10001


# The operator's image brings what it provisions from, and a folder for each reader of secrets: a fresh volume that is
# mounted there takes the folder's owner.
FROM runtime AS operator
USER root
RUN install -d -o app -g app -m 0700 /secrets/vault \
    && for service in auth product cart order payment notification; do \
        install -d -o app -g app "/secrets/${service}" "/secrets/${service}-owner"; \
    done \
    && for reader in postgres rabbitmq redis kong mailpit sandbox storefront catalogue warehouse operator monitor; do \
        install -d -o app -g app "/secrets/${reader}"; \
    done
COPY --chmod=0644 deploy/kong/kong.yml deploy/kong/error.html deploy/kong/
COPY --chmod=0644 deploy/rabbitmq/definitions.json deploy/rabbitmq/definitions.json
COPY --chmod=0644 storefront/catalogue.json storefront/catalogue.json
USER 10001:10001
ENTRYPOINT ["shop"]


FROM runtime AS service
