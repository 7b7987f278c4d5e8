"""Step 01: one nginx container, and how a packet gets into it."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Port, Service
from silverlining.model.text import _

from . import SUMMARIES
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
    SUMMARIES["step01-nginx"],
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
            (
                "docker exec {nginx} sh -c "
                '\'for p in /proc/[0-9]*; do printf "%s %s\\n" "${{p#/proc/}}" "$(tr "\\0" " " <$p/cmdline)"; done | sort -n\'',
            ),
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
    questions=(
        Question(
            _("nginx is process 1 in its container. Which number has it on the host?"),
            _(
                "Another one: `docker top {nginx}` shows it. Each PID namespace counts its processes from 1. The host's is the outermost and sees"
                " them all."
            ),
        ),
        Question(
            _("Why does a request over loopback not raise the counter of the DNAT rule?"),
            _(
                "The rule for the host's own packets leaves 127.0.0.0/8 out. With Docker's default settings docker-proxy listens on the published"
                " port as well: it takes the connection and opens one of its own to the container."
            ),
        ),
        Question(
            _("The container is removed and made anew. Does it get the same address?"),
            _(
                "Yes: the step names it with `--ip`, outside the range from which Docker takes addresses by itself (`--ip-range`). Without `--ip`"
                " it would be the next free one, which may be another."
            ),
        ),
        Question(
            _("The container's root file system is read-only. Where does nginx write?"),
            _(
                "Into memory: `docker inspect --format '{{{{json .HostConfig.Tmpfs}}}}' {nginx}` names three tmpfs mounts. Its logs go to standard"
                " output and standard error, and so to `docker logs`."
            ),
        ),
    ),
    since=(
        Change(
            _("the default bridge, addresses looked up by hand"),
            _("one user-defined network, fixed addresses, names from Docker's DNS server"),
            _("on the default bridge, names work by legacy links only, and engine 29 sets no link variables any more"),
        ),
        Change(
            _("`nginx:latest`, a writable root, Docker's default capabilities"),
            _("a pinned version, a read-only root, no capability but those that the program needs"),
            _("what runs today runs tomorrow; who breaks in finds less"),
        ),
        Change(
            _("`iptables -t nat` typed as root on the host"),
            _("a short-lived container in the host's network namespace reads the rules, of iptables or of nftables"),
            _("nobody has to be root, and both kinds of firewall are found"),
        ),
    ),
)
