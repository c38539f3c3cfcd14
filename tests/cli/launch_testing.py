"""The examples under examples/launch in their small form, and real launchers to run them.

Everything listens on loopback addresses only and ends with its fixture. A launcher that is not
installed is a reason to skip, but not on Debian as root, where tools/setup.sh installs all of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import BINARY, SOURCE_DIR, clean_environment, losses

EXAMPLES = SOURCE_DIR / "examples" / "launch"
STEPS = 4
SMALL = ["--model", "gpt2-tiny", "--seq-length", "32", "--shuffle", "false", "--lr", "3e-3", "--precision", "fp32"]
SMALL += ["--device", "cpu", "--steps", str(STEPS)]
# What the job of every example says, and what the small one says instead.
LARGE = ["--model", "llama2-7b", "--plan", "plan.json", "--data", "corpus"]
# Two machines of this one. A name that is an address needs no name service.
HOSTS = ["127.0.0.2", "127.0.0.3"]


def require_program(*names: str) -> None:
    for name in names:
        if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            continue
        reason = f"{name} is not installed: tools/setup.sh test installs it on Debian and Ubuntu"
        if Path("/etc/debian_version").exists() and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)


def require_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("its daemons are started as root")


def example(name: str, *changes: tuple[str, str]) -> str:
    """The text of an example with its job made small; every change must be of something that is there."""
    text = (EXAMPLES / name).read_text()
    for before, after in [(" ".join(LARGE), " ".join([*SMALL, "--data", "corpus", "--metrics", "m.jsonl"])), *changes]:
        assert before in text, f"{name} has no {before!r}"
        text = text.replace(before, after)
    return text


def launch_environment(**extra: str) -> dict[str, str]:
    """With the binary as `galvatron`."""
    environment = clean_environment(**extra)
    return {**environment, "PATH": f"{BINARY.parent}:{environment['PATH']}:/usr/sbin:/sbin"}


def run(command: list[object], cwd: Path, timeout: float = 60, **extra: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=launch_environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_example(text: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess:
    script = cwd / "example.sh"
    script.write_text(text)
    script.chmod(0o755)
    return run([script], cwd, **extra)


def one_rank_losses(folder: Path) -> list[float]:
    """Of the small job, without any launcher."""
    if (folder / "one.jsonl").exists():
        return losses(folder / "one.jsonl")
    done = run([BINARY, "train", *SMALL, "--data", "corpus", "--metrics", "one.jsonl"], folder)
    assert done.returncode == 0, done.stderr
    return losses(folder / "one.jsonl")


def require_one_ranks_losses(folder: Path, metrics: str = "m.jsonl") -> None:
    ours = losses(folder / metrics)
    assert len(ours) == STEPS
    assert ours == pytest.approx(one_rank_losses(folder), rel=1e-5)


def wait_for_steps(metrics: Path, is_alive, count: int = 2) -> None:
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.read_text().count("\n") < count:
        assert time.monotonic() < deadline and is_alive()
        time.sleep(0.05)


def ranks_in(folder: Path, host: str = "") -> dict[int, int]:
    """Process of each rank that works in the folder; on one host of a Slurm job, where it is named."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.joinpath("cwd").resolve() != folder.resolve():
                continue
            if Path(path.joinpath("exe").readlink()).name != "galvatron":
                continue
            words = path.joinpath("environ").read_bytes().decode().split("\0")
        except OSError:  # it has just ended
            continue
        variables = dict(word.split("=", 1) for word in words if "=" in word)
        rank = variables.get("RANK") or variables.get("SLURM_PROCID") or variables.get("OMPI_COMM_WORLD_RANK")
        if rank is not None and variables.get("SLURMD_NODENAME", host) == (
            host or variables.get("SLURMD_NODENAME", "")
        ):
            found[int(rank)] = int(path.name)
    return found


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while ranks_in(folder):
        assert time.monotonic() < deadline, ranks_in(folder)
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def daemons(folder: Path) -> Iterator:
    """Starts programs in the foreground, each with a log in the folder, and ends them."""
    running: list[subprocess.Popen] = []

    def start(*command: object, **extra: str) -> subprocess.Popen:
        log = (folder / f"daemon-{len(running)}.log").open("w")
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=launch_environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running.append(process)
        return process

    try:
        yield start
    finally:
        for process in reversed(running):
            process.terminate()
        for process in reversed(running):
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(check, what: str, folder: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            logs = "\n".join(f"== {path}\n{path.read_text()[-1500:]}" for path in sorted(folder.glob("*.log")))
            raise AssertionError(f"{what} did not come up\n{logs}")
        time.sleep(0.05)


def slurm_conf(folder: Path) -> str:
    control, first, second = free_ports(3)
    # Its daemons listen on the address of this machine's name alone: 127.0.0.1 or 127.0.1.1.
    here = socket.gethostbyname(socket.gethostname())
    nodes = "".join(
        f"NodeName={host} NodeHostname={socket.gethostname()} NodeAddr={here} Port={port} CPUs=4 State=UNKNOWN\n"
        for host, port in zip(HOSTS, (first, second), strict=True)
    )
    return f"""ClusterName=test
SlurmctldHost={socket.gethostname()}({here})
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
CommunicationParameters=NoInAddrAny
SlurmdParameters=config_overrides
KillWait=5
{nodes}PartitionName=test Nodes=ALL Default=YES MaxTime=5 State=UP OverSubscribe=YES
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A Slurm of two nodes on this machine; yields the environment in which its commands find it."""
    require_program("slurmctld", "slurmd", "srun", "sbatch", "munged")
    require_root()
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", *(f"spool-{host}" for host in HOSTS)):
        (folder / name).mkdir()
    # munged trusts no path that others may write to.
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    conf.write_text(slurm_conf(folder))
    here = {"SLURM_CONF": str(conf)}
    with daemons(folder) as start:
        files = [
            f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "log-file", "pid-file", "seed-file")
        ]
        start("munged", "--foreground", "--force", f"--key-file={key}", *files)
        wait_for((folder / "munge.socket").exists, "munged", folder)
        start("slurmctld", "-D", "-c", "-f", conf)
        for host in HOSTS:
            start("slurmd", "-D", "-N", host, "-f", conf)
        wait_for(
            lambda: run(["sinfo", "-h", "-t", "idle", "-o", "%D"], folder, **here).stdout.strip() == "2",
            "Slurm",
            folder,
        )
        yield here


def run_batch(folder: Path, script: str, *arguments: object, slurm: dict[str, str]) -> tuple[str, str]:
    """Submits a script; how it ended ("0:0", exit code and signal) and what it wrote.

    sbatch --wait would look every ten seconds.
    """
    (folder / "job").write_text(script)
    submitted = run(["sbatch", "--parsable", "--output=out.txt", *arguments, "job"], folder, **slurm)
    assert submitted.returncode == 0, submitted.stderr
    number = submitted.stdout.strip()

    def fields() -> dict[str, str]:
        text = run(["scontrol", "show", "job", "--oneliner", number], folder, **slurm).stdout
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    running = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING"}
    wait_for(lambda: fields()["JobState"] not in running, f"the end of job {number}", folder, seconds=60)
    return fields()["ExitCode"], (folder / "out.txt").read_text()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory) -> Iterator[str]:
    """An ssh server on two loopback addresses with keys of its own; yields the command that reaches it."""
    require_program("sshd", "ssh", "ssh-keygen")
    require_root()
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (port,) = free_ports(1)
    (folder / "sshd_config").write_text(
        f"Port {port}\n" + "".join(f"ListenAddress {host}\n" for host in HOSTS) + f"HostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )
    config = folder / "ssh_config"
    config.write_text(
        f"Port {port}\nIdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known_hosts\n"
        "StrictHostKeyChecking accept-new\nLogLevel ERROR\nHost first\n  HostName 127.0.0.2\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd shuts its own children in
    command = f"ssh -F {config}"
    with daemons(folder) as start:
        start(shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin"), "-D", "-e", "-f", folder / "sshd_config")
        wait_for(lambda: run([*command.split(), HOSTS[0], "true"], folder).returncode == 0, "sshd", folder)
        yield command
