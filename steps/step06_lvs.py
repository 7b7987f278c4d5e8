"""Step 06, first answer: LVS with direct routing, three app servers that share one virtual address."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Service
from silverlining.model.text import _

from . import SUMMARIES
from .step05_sentinel import APP as ONE
from .step05_sentinel import TOPOLOGY as BEFORE

REAL_SERVER = ONE.but(
    count=3,
    scaled=True,
    ports=(),
    environment=(*ONE.environment, ("VIP", "{vip}")),
    user="0:0",
    cap_add=("NET_ADMIN", "SETUID", "SETGID", "SETPCAP"),
    sysctls=(("net.ipv4.conf.all.arp_ignore", "1"), ("net.ipv4.conf.all.arp_announce", "2")),
)

DIRECTOR = Service(
    name="lvs",
    image="lvs",
    address=5,
    environment=(("VIP", "{vip}"), ("PORT", "8000"), ("REALS", "{reals}")),
    health=Health("lvs-health"),
    user="0:0",
    cap_add=("NET_ADMIN", "NET_RAW"),
    memory=64,
    stop_grace=3,
)

TOPOLOGY = BEFORE.derive("step06-lvs", add=(REAL_SERVER, DIRECTOR), entry=("", "/healthz"), vip=True)

LESSON = Lesson(
    _("LVS, direct routing"),
    SUMMARIES["step06-lvs"],
    (
        Act(
            _("One address, four containers"),
            _(
                "The director answers ARP for the virtual address {vip}. The three app servers hold it too, on lo, and keep silent about it. Direct"
                " routing keeps the port, so that the service is at {vip}:8000, where the app listens."
            ),
            ("docker exec {lvs} lvs-status", "docker exec {ping_app} ip -brief address show lo"),
            _("`mode` says whether the kernel's IPVS does it or nftables, which does the same job where the kernel has no IPVS."),
            checks=(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("lvs"), Check("serves")),
        ),
        Act(
            _("Requests spread"),
            _("Each connection goes to one server and stays there; many connections spread."),
            proofs=(Proof("vip-spreads"),),
        ),
        Act(
            _("Only MAC addresses change, and answers go straight back"),
            _("The same packet is looked at in front of the director and behind it. The answers are counted where they leave."),
            look=_("Source and destination address stay. The director sees requests only; the real servers send the answers."),
            proofs=(Proof("only-macs-change"), Proof("answers-bypass")),
        ),
    ),
    questions=(
        Question(
            _("Why can an answer go past the director?"),
            _(
                "The real server holds {vip} itself, on lo. So it answers from the address that the client asked, straight to the client's MAC"
                " address."
            ),
        ),
        Question(
            _("Why must the real servers keep silent about {vip} when somebody asks by ARP?"),
            _(
                "Four machines hold the address. If a real server answered, the client would send everything to that one, past the director."
                " `arp_ignore=1` answers only for addresses of the interface that the question came in by, and {vip} is on lo; `arp_announce=2`"
                " keeps it out of the questions that the server asks itself."
            ),
        ),
        Question(
            _("What does direct routing ask of the network?"),
            _(
                "Director and real servers must be on one network segment, since only MAC addresses change. The port can't change either: that is"
                " why the service is at port 8000."
            ),
        ),
        Question(
            _("The real servers' containers start as root. Does the application run as root?"),
            _(
                "No: `docker top {ping_app} -eo pid,user,args` shows user 10001. The entry point puts {vip} on lo, and then gives up root and every"
                " capability."
            ),
        ),
    ),
    since=(
        Change(
            _("LVS is described"),
            _("LVS runs, by IPVS or, where the kernel has none, by nftables"),
            _("what can be shown needn't be believed"),
        ),
    ),
)
