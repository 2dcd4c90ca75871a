"""A whole Slurm on one machine for one test: a controller and a node on loopback, from Debian's packages."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.load import free_port

NEEDED = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "scontrol", "setpriv")
DEVICES = ("/dev/null", "/dev/zero")
"""What stands for GPUs."""
WAIT_S = 60


def unusable() -> str | None:
    """Return why no Slurm can be started here, None if one can."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "slurmd starts jobs as the user who submits them, for which it must be root"


class Slurm:
    """A running controller with one node that claims more than the machine has, so that profiles can be used as is.

    Args:
        folder: An empty folder for everything that the daemons write.
        cpus: Processors of the node.
        memory_mb: Memory of the node.
        gpus: GPUs of the node, two at most; they are counted and handed out, but there are none.
    """

    def __init__(self, folder: Path, *, cpus: int, memory_mb: int, gpus: int) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        controller, node = free_port(), free_port()
        self.configuration.write_text(
            f"""\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=1,sched_interval=1
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=2
ReturnToService=2
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
""",
            encoding="utf-8",
        )
        # Slurm wants a device for each GPU, and does not open it without cgroups.
        lines = [f"NodeName=localhost Name=gpu File={device}\n" for device in DEVICES[:gpus]]
        (folder / "gres.conf").write_text("".join(lines), encoding="utf-8")
        self._daemons: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands find this one by."""
        return {"SLURM_CONF": str(self.configuration)}

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        places = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._daemon("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *places)
        self._until((self.folder / "munge.socket").exists, "munged listens")
        self._daemon("slurmctld", "-D", "-f", str(self.configuration))
        self._daemon("slurmd", "-D", "-N", "localhost", "-f", str(self.configuration))
        self._until(lambda: "State=IDLE" in self.command("scontrol", "show", "node", "localhost"), "the node is idle")

    def stop(self) -> None:
        """End all jobs and daemons."""
        if len(self._daemons) > 1:
            self.command("scancel", "--user", "root")
            limit = time.monotonic() + WAIT_S
            while self.active() and time.monotonic() < limit:
                time.sleep(0.2)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def command(self, *words: str) -> str:
        """Run one of Slurm's commands and return what it prints, errors too."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def jobs(self) -> list[dict[str, str]]:
        """Return what the controller knows of each job, ended ones too, in the order of submission."""
        lines = self.command("scontrol", "show", "jobs", "--oneliner").splitlines()
        found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
        return sorted(found, key=lambda job: int(job["JobId"]))

    def active(self, rule: str = "") -> list[str]:
        """Return the ids of jobs of a rule, by default of any, that are running, starting or ending."""
        jobs = [job for job in self.jobs() if rule in job.get("Comment", "")]
        return [job["JobId"] for job in jobs if job["JobState"] in ("RUNNING", "CONFIGURING", "COMPLETING")]

    def _daemon(self, name: str, *arguments: str) -> None:
        path = shutil.which(name)
        assert path is not None
        environment = {**os.environ, **self.environment}
        with (self.folder / f"{name}.out").open("wb") as out:
            self._daemons.append(
                subprocess.Popen(
                    # It ends when this process does, however it ends.
                    ["setpriv", "--pdeathsig", "TERM", path, *arguments],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + WAIT_S
        while not reached():
            dead = [daemon for daemon in self._daemons if daemon.poll() is not None]
            if dead or time.monotonic() > limit:
                raise AssertionError(f"not reached: {what}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        """Return what the daemons have written."""
        files = [path for pattern in ("*.log", "*.out") for path in sorted(self.folder.glob(pattern))]
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in files)


@contextmanager
def running_slurm(folder: Path, *, cpus: int = 2, memory_mb: int = 64_000, gpus: int = 1) -> Iterator[Slurm]:
    """Start a Slurm and end it, whatever happens in between."""
    slurm = Slurm(folder, cpus=cpus, memory_mb=memory_mb, gpus=gpus)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
