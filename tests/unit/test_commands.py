"""The exact docker command lines that each action stands for."""

from __future__ import annotations

import shlex

import pytest

from silverlining.model import actions as do
from silverlining.model.commands import commands, line, mount_flag, title
from silverlining.model.hold import Hold
from silverlining.model.plan import plan
from silverlining.model.stack import Code, ImageRef, Mount

from .builders import ALL, seen, stack, standing
from .world import World

LAST = stack("step08-netdata")
NGINX = stack("step01-nginx").of("nginx")[0]
REDIS = LAST.of("redis-slave")[1]
TOOLS = ImageRef("tools", "silverlining/tools:1", "t")
HELPER = "docker run --rm --network none --cap-drop ALL --cap-add DAC_OVERRIDE --security-opt no-new-privileges"
HOLDER = (
    "docker run --rm --network host --cap-drop ALL --cap-add DAC_OVERRIDE --cap-add NET_ADMIN"
    " --security-opt no-new-privileges silverlining/tools:1 nft"
)

RUN_NGINX = (
    "docker run --detach --name silver-nginx-1 --hostname silver-nginx-1 --network silver --ip 10.0.7.2 --network-alias nginx"
    " --publish 80:80 --tmpfs /var/cache/nginx --tmpfs /run --tmpfs /tmp --read-only --cap-drop ALL"
    " --cap-add CHOWN --cap-add SETGID --cap-add SETUID --cap-add NET_BIND_SERVICE --security-opt no-new-privileges"
    " --memory 64m --cpus 1 --restart unless-stopped --stop-signal SIGQUIT --stop-timeout 10"
    " --log-driver json-file --log-opt max-size=10m --log-opt max-file=3"
    " --health-cmd 'nginx -t -q' --health-interval 10s --health-timeout 3s --health-retries 3 --health-start-period 20s"
    f" --label io.silverlining.stack=silver --label io.silverlining.service=nginx --label io.silverlining.index=1"
    f" --label io.silverlining.spec={NGINX.spec} --label io.silverlining.made-by=step01-nginx silverlining/upstream-nginx:old"
)
RUN_REDIS = (
    "docker run --detach --name silver-redis-slave-2 --hostname silver-redis-slave-2 --network silver --ip 10.0.7.12"
    " --network-alias redis-slave --link silver-redis-master-1:master"
    " --mount type=volume,source=silver-redis-slave-2,target=/data --mount type=volume,source=silver-secrets,target=/secrets,readonly"
    " --tmpfs /tmp --env REPLICA_PRIORITY=100 --user 999:999 --read-only --cap-drop ALL --security-opt no-new-privileges"
    " --memory 128m --cpus 1 --restart unless-stopped --stop-signal SIGTERM --stop-timeout 10"
    " --log-driver json-file --log-opt max-size=10m --log-opt max-file=3"
    " --health-cmd redis-health --health-interval 10s --health-timeout 3s --health-retries 3 --health-start-period 20s"
    " --label io.silverlining.stack=silver --label io.silverlining.service=redis-slave --label io.silverlining.index=2"
    f" --label io.silverlining.spec={REDIS.spec} --label io.silverlining.made-by=step08-netdata"
    " silverlining/redis:old redis-server --replicaof master 6379"
)

EXACT: tuple[tuple[do.Action, tuple[str, ...]], ...] = (
    (do.RemoveVolume("silver-scaled"), ("docker volume rm silver-scaled",)),
    (
        do.CreateNetwork(LAST.network),
        (
            "docker network create --driver bridge --subnet 10.0.7.0/24 --ip-range 10.0.7.128/25 --gateway 10.0.7.1"
            " --label io.silverlining.stack=silver --label com.docker.compose.project=silver --label com.docker.compose.network=default silver",
        ),
    ),
    (
        do.CreateVolume(LAST.volumes[0]),
        (
            "docker volume create --label io.silverlining.stack=silver --label io.silverlining.subnet=10.0.7.0/24"
            " --label com.docker.compose.project=silver --label com.docker.compose.volume=etcd-1 silver-etcd-1",
        ),
    ),
    (
        do.MakeSecrets("silver-secrets", TOOLS),
        (f"{HELPER} --mount type=volume,source=silver-secrets,target=/secrets silverlining/tools:1 secrets-init /secrets",),
    ),
    (do.Run(NGINX), (RUN_NGINX,)),
    (do.Run(REDIS), (RUN_REDIS,)),
    (do.Replace(seen(NGINX), NGINX), ("docker stop silver-nginx-1", "docker rm silver-nginx-1", RUN_NGINX)),
    (
        do.Replace(seen(NGINX), NGINX, hold=Hold("silver", "silverlining/tools:1", (80, 81))),
        (
            f"{HOLDER} 'add table inet silverlining_silver; flush table inet silverlining_silver;"
            " add set inet silverlining_silver held { type inet_service; flags timeout; };"
            " add chain inet silverlining_silver before { type filter hook prerouting priority -310; };"
            " add rule inet silverlining_silver before fib daddr type local tcp flags & (fin|syn|rst|ack) == syn tcp dport @held drop;"
            " add element inet silverlining_silver held { 80 timeout 60s, 81 timeout 60s }'",
            *("docker stop silver-nginx-1", "docker rm silver-nginx-1", RUN_NGINX),
            f"{HOLDER} 'delete table inet silverlining_silver'",
        ),
    ),
    (do.Remove(seen(NGINX)), ("docker stop silver-nginx-1", "docker rm silver-nginx-1")),
    (do.Start(NGINX), ("docker start silver-nginx-1",)),
    (do.Unpause(NGINX), ("docker unpause silver-nginx-1",)),
    (do.Mend(NGINX), ("docker restart silver-nginx-1",)),
    (do.Mend(LAST.of("haproxy")[0]), ("docker exec silver-haproxy-1 haproxy-mend",)),
    (do.MoveMaster("a", "b", "silver-sentinel-1"), ("docker exec silver-sentinel-1 redis-ask -p 26379 sentinel failover master",)),
    (
        do.AttachReplica("silver-redis-slave-1", "10.0.7.10"),
        (
            "docker exec silver-redis-slave-1 redis-ask replicaof 10.0.7.10 6379",
            "docker exec silver-redis-slave-1 redis-ask config rewrite",
        ),
    ),
    (
        do.SeedReplica("silver-redis-slave-1", REDIS.image, "10.0.7.10"),
        (f"{HELPER} --mount type=volume,source=silver-redis-slave-1,target=/data silverlining/redis:old redis-seed 10.0.7.10 6379",),
    ),
    (
        do.ForgetMaster(("silver-sentinel-1", "silver-sentinel-2"), TOOLS),
        (
            f"{HELPER} --mount type=volume,source=silver-sentinel-1,target=/v/silver-sentinel-1"
            " --mount type=volume,source=silver-sentinel-2,target=/v/silver-sentinel-2 silverlining/tools:1 sh -c 'rm -rf /v/*/conf'",
        ),
    ),
    (
        do.ResetSentinels(("silver-sentinel-1", "silver-sentinel-2"), 2),
        tuple(f"docker exec silver-sentinel-{n} redis-ask -p 26379 sentinel reset master" for n in (1, 2)),
    ),
    (do.Drain("silver-haproxy-1", "app2"), ("docker exec silver-haproxy-1 haproxy-drain app2 10",)),
    (do.Readmit("silver-haproxy-1", "app2"), ("docker exec silver-haproxy-1 haproxy-ready app2",)),
    (do.PutKey("silver-etcd-1", "/app/servers/app1", "10.0.7.31:8000"), ("docker exec silver-etcd-1 etcdctl put /app/servers/app1 10.0.7.31:8000",)),
    (do.DeleteKey("silver-etcd-1", "silver-haproxy-1", "/app/servers/app1"), ("docker exec silver-etcd-1 etcdctl del /app/servers/app1",)),
)


@pytest.mark.parametrize(("action", "lines"), EXACT, ids=[a.id for a, _lines in EXACT])
def test_the_exact_command_line(action: do.Action, lines: tuple[str, ...]) -> None:
    assert tuple(map(line, commands(action))) == lines


def test_without_sentinels_the_role_moves_by_hand() -> None:
    lines = tuple(map(line, commands(do.MoveMaster("silver-redis-slave-2", "silver-redis-master-1", ""))))
    assert lines == (
        "docker exec silver-redis-master-1 redis-ask replicaof no one",
        "docker exec silver-redis-master-1 redis-ask config rewrite",
        "docker exec silver-redis-slave-2 redis-ask replicaof silver-redis-master-1 6379",
        "docker exec silver-redis-slave-2 redis-ask config rewrite",
    )


KINDS = {kind for kind in vars(do).values() if isinstance(kind, type) and issubclass(kind, do.Action)} - {do.Action}


def test_every_kind_of_action_has_its_line_here_and_a_title() -> None:
    assert {type(action) for action, _lines in EXACT} == KINDS
    assert all(title(action).endswith(action.subject) for action, _lines in EXACT)


def test_an_unknown_action_is_an_error() -> None:
    with pytest.raises(TypeError):
        commands(do.Action())


@pytest.mark.parametrize("step", ALL)
def test_all_that_docker_is_told_is_in_the_line_and_nothing_secret(step: str) -> None:
    for action in plan(stack(step), World().observed()).of(do.Run):
        assert isinstance(action, do.Run)
        c = action.container
        (argv,) = commands(action)
        assert shlex.split(line(argv)) == list(argv)
        assert [argv[i + 1] for i, word in enumerate(argv) if word == "--mount"] == [mount_flag(m) for m in c.mounts]
        assert argv[argv.index(c.image.reference) :] == (c.image.reference, *c.command)
        assert "password" not in line(argv).lower() and "secret-key" not in line(argv).lower()
        assert {"no-new-privileges", "ALL"} <= set(argv) and "--privileged" not in argv
        public = [word for i, word in enumerate(argv) if argv[i - 1] == "--publish" and not word.startswith("127.0.0.1:")]
        assert len(public) <= 1


def test_bind_mounts() -> None:
    assert mount_flag(Mount("bind", "/proc", "/host/proc", True)) == "type=bind,source=/proc,target=/host/proc,readonly"


def test_code_that_is_copied_goes_in_before_the_container_starts() -> None:
    container = stack("step03-redis", code=Code("/code", "0123")).of("django")[0]
    create, copy, start = commands(do.Run(container))
    assert create[:2] == ("docker", "create") and "--detach" not in create and "type=volume,target=/usr/src/app" in create
    assert (copy, start) == (("docker", "cp", "/code/.", "silver-django-1:/usr/src/app"), ("docker", "start", "silver-django-1"))


def test_every_action_of_a_big_plan_has_commands() -> None:
    for made in (plan(LAST, World().observed()), plan(stack("step03-redis"), standing(LAST))):
        assert all(commands(action) for action in made.actions)
