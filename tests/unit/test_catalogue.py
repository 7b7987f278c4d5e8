"""The catalogue of images as data: whole, in an order that can be built, and without a registry's name."""

from __future__ import annotations

from silverlining.model.images import IMAGES, closure, mirrored, registry_of, split_reference, urgency


def test_the_catalogue_is_whole() -> None:
    for image in IMAGES.values():
        assert set(image.parents) <= set(IMAGES)
        assert bool(image.context) != bool(image.suite)
        assert not image.official or registry_of(image.official) == ""
        assert not image.name.startswith("upstream/") or image.official
    order = closure(IMAGES)
    assert sorted(order) == sorted(IMAGES)
    assert all(order.index(parent) < order.index(name) for name in order for parent in IMAGES[name].parents)


def test_closure_stops_at_what_is_served() -> None:
    assert closure(["app"]) == ("debian-bookworm", "upstream/python", "django", "app")
    assert closure(["app"], {"upstream/python"}) == ("upstream/python", "django", "app")
    assert closure(["app", "redis"], lambda name: True) == ("app", "redis")


def test_the_longest_way_to_the_end_is_the_most_urgent() -> None:
    seconds = urgency(IMAGES)
    assert all(seconds[parent] >= seconds[name] + IMAGES[parent].seconds for name in IMAGES for parent in IMAGES[name].parents)
    assert seconds["debian"] == sum(IMAGES[name].seconds for name in ("debian", "confd", "haproxy-confd"))
    assert urgency(["redis", "upstream/redis"]) == {"redis": 10, "upstream/redis": 20, "debian": 10 + 20}


def test_references_are_taken_apart() -> None:
    assert split_reference("reg:5000/web") == ("reg:5000/web", "latest")
    assert split_reference("reg:5000/web:1") == ("reg:5000/web", "1")
    assert split_reference("web@sha256:ab") == ("web", "sha256:ab")
    assert [registry_of(r) for r in ("web:1", "team/web:1", "reg:5000/web", "localhost/web", "reg.example/web")] == [
        "",
        "",
        "reg:5000",
        "localhost",
        "reg.example",
    ]
    assert mirrored("", "web:1") == ()
    assert mirrored("reg/hub", "team/web:1") == ("reg/hub/team/web:1",)
