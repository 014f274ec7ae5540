# The image is the static binary and nothing else: no shell, no packages, no network needed
# to build it. `make image` packs it without a container engine (dist/fairlead.oci.tar); this is
# the same for those who build with one, from the binaries that `make image` leaves:
#
#	make image
#	docker buildx build --platform linux/amd64,linux/arm64 -t fairlead:dev .
#
# It runs as a user without a name and writes nothing but long bodies of requests, to /tmp where one is
# mounted (docs/buffering.md), so a read-only root file system and no capabilities are enough. Ports below 1024 need NET_BIND_SERVICE or
# net.ipv4.ip_unprivileged_port_start=0; deploy/ uses 8080 and 8443 instead.
FROM scratch
ARG TARGETARCH
COPY dist/fairlead-linux-${TARGETARCH} /fairlead
USER 65532:65532
EXPOSE 80 443 10254
ENTRYPOINT ["/fairlead"]
CMD ["serve"]
