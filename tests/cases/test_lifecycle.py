"""No request is lost, misrouted or served by two versions while certificates, the configuration, endpoints and the program change."""

import asyncio

import pytest

import lifecycle
from lifecycle import STEADY, Site
from load import Group, Held, Http1

# Requests in a second: less than the development build can serve.
RATE = 200
# Builds and other tests may run beside.
PROMPT = 10.0
CHANGES = {
    "rotate_certificates": 10,
    "change_configuration": 200,
    "roll_endpoints": 4,
    "lose_manifests": 10,
    "replace_program": 2,
    "replace_program_on_its_ports": 2,
}


@pytest.mark.parametrize("phase", CHANGES)
def test_no_request_is_lost(phase, tmp_path):
    async def run(site):
        program = site.program("--shutdown-grace-period=1")
        slow = Group(Http1, 4, lambda: site.slow_request(300))
        async with site.load([program.target], RATE, extra=[slow]) as load:
            await load.responses(20)
            # Tunnels delay the exit of the program, so they are not held while it is replaced.
            held = 0 if "program" in phase else 5
            async with Held(program.target, STEADY, held, held) as streams:
                print(await getattr(lifecycle, phase)(site, load, range(CHANGES[phase])))
                await load.responses(20)
        print(f"{load.tally.good} responses")
        wrong = load.tally.failures + streams.cut
        assert not wrong, wrong

    with Site(tmp_path, prompt=PROMPT) as site:
        try:
            asyncio.run(run(site))
        finally:
            print(site.log())
