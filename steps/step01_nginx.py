"""Step 01: one nginx container, and how a packet gets into it."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.service import Health, Port, Service
from silverlining.model.text import _

from .step00_install import TOPOLOGY as BEFORE

NGINX = Service(
    name="nginx",
    image="upstream/nginx",
    address=2,
    ports=(Port(80, "web", public=True),),
    tmpfs=("/var/cache/nginx", "/run", "/tmp"),
    health=Health("nginx -t -q"),
    cap_add=("CHOWN", "SETGID", "SETUID", "NET_BIND_SERVICE"),
    memory=64,
    stop_signal="SIGQUIT",
)

TOPOLOGY = BEFORE.derive("step01-nginx", add=(NGINX,), entry=("web", "/"))

LESSON = Lesson(
    _("One nginx container"),
    _("A first container, and the way of a packet into it and out of it."),
    (
        Act(
            _("What stands"),
            _("An image is the template, a container is a process made from it. The container's port 80 is published on the host."),
            ("docker ps --filter name={nginx}", "docker images --filter reference={image_nginx}", "docker network ls --filter name={network}"),
            _("PORTS shows which port of the host leads to which port of the container."),
            checks=(Check("containers"), Check("serves")),
        ),
        Act(
            _("Inside"),
            _("A process list from inside shows only what belongs to the container: nginx is process 1 there."),
            ('docker exec {nginx} sh -c \'for p in /proc/[0-9]*; do echo "${{p#/proc/}} $(tr "\\0" " " <$p/cmdline)"; done | sort -n\'',),
            _("The same processes have other numbers on the host: `docker top {nginx}` shows those."),
        ),
        Act(
            _("Its network"),
            _("`inspect` tells everything that Docker knows of a container; here only its addresses."),
            (
                "docker inspect --format '{{{{range .NetworkSettings.Networks}}}}address {{{{.IPAddress}}}}, gateway {{{{.Gateway}}}}, "
                "MAC {{{{.MacAddress}}}}{{{{end}}}}' {nginx}",
            ),
            _("The gateway is an address of the host: the bridge that the next act looks for."),
        ),
        Act(
            _("Bridge and veth pair"),
            _(
                "The engine made a bridge, a switch in software. Each container is plugged in by a pair of virtual interfaces: one end is eth0"
                " inside, the other hangs on the bridge."
            ),
            look=_("The host's interface number is the one that eth0 names as its peer."),
            proofs=(Proof("bridge", "nginx"), Proof("veth", "nginx")),
        ),
        Act(
            _("The way in and the way out"),
            _(
                "A rule rewrites the destination of packets for the published port (DNAT), another one hides the container's address on the way out"
                " (masquerade). A request from this host over loopback takes neither: a small program, docker-proxy, passes it on."
            ),
            look=_("The rule's counter goes up by one request from a network namespace of its own; over loopback it stays."),
            proofs=(Proof("dnat", "nginx"), Proof("masquerade", "nginx")),
        ),
        Act(
            _("Two containers talk"),
            _("Containers on one network reach each other across the bridge, by name: the engine answers their DNS questions."),
            ("docker run --rm --network {network} {tools} curl -sS -o /dev/null -w '%{{http_code}} from %{{remote_ip}}\\n' http://nginx/",),
            _("200 from the container's own address: no published port is needed between containers."),
        ),
    ),
)
