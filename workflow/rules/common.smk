"""The configuration, and the functions that turn it into paths; no rules."""

from snakemake.exceptions import WorkflowError

from sc2.jobs import identity, plan
from sc2.jobs.checksums import remember_checksums
from sc2.jobs.order import Order
from sc2.jobs.stages import STAGES
from sc2.config.load import load_config
from sc2.data.archive import data_dir
from sc2.errors import ConfigError
from sc2.forks.start import start_forks
from sc2.provenance import fingerprint, parsed
from sc2.sharing import unfinished
from sc2.system import gpus

if len(workflow.configfiles) > 1:
    raise WorkflowError("give one run file at most: it says all there is to run")
if workflow.config_settings.config:
    raise WorkflowError("--config has no effect here: put the change into a run file, and name it with --configfile")
DEFAULT_CONFIG = Path("config/config.yaml")
# With `-s` from another folder: that folder's run file if it has one, otherwise that of the workflow.
beside = DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else PROJECT / DEFAULT_CONFIG
CONFIG_PATH = os.path.relpath(workflow.configfiles[0] if workflow.configfiles else beside)
try:
    CONFIG = load_config(CONFIG_PATH)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

# Print this once: the processes that Snakemake starts for some jobs read this file too.
if workflow.is_main_process:
    if reason := unfinished.problem(os.environ):
        raise WorkflowError(reason)
    for line in plan.skipped(CONFIG):
        print(line, file=sys.stderr)

fingerprint.take_parsed(parsed.KEPT)
remember_checksums()
CODE = identity.Code()
ORDER = Order(CONFIG)
METHODS = sorted({method for benchmark in CONFIG.benchmarks.values() for method in benchmark.methods})
TRAINED = [name for name, b in CONFIG.benchmarks.items() if b.config.teacher.source == "train"]
FETCHED = [name for name in CONFIG.benchmarks if name not in TRAINED]
# Wildcard constraint of rules for which the configuration has no benchmark; nothing matches it.
NONE = "(?!)"

# Processes of a training. Not part of a job's id: they change nothing but rounding.
GPUS = CONFIG.run.compute.gpus

RUN = "{benchmark}/{method}/{point}/seed{seed}"


def unplanned(stage, wildcards):
    """The error about a file that the rules could make but the configuration does not plan."""
    name = "/".join(wildcards)
    return WorkflowError(f"{CONFIG_PATH} plans no {stage} of {name}: add it there or to the benchmark's file first")


def job_id(stage):
    """The job's id, which changes exactly with its configuration or code: every rule's rerun trigger (as a param)."""

    def of(wildcards):
        job = identity.job(CONFIG, stage, dict(wildcards), CODE)
        if job is None:
            raise unplanned(stage, wildcards)
        return job.id

    return of


def priority(stage):
    """How soon a job is started among those that could be; the reasons are in sc2/jobs/order.py."""

    def of(wildcards):
        return ORDER.priority(stage, dict(wildcards))

    return of


def run_file(wildcards, output):
    """The run file, for the command line of a job.

    It must not cause reruns: several run files may plan the same job, and what the job uses of them is in its id.
    Snakemake records a param for comparison unless its function takes `output` (or another derived value).
    """
    return CONFIG_PATH


def all_cores(wildcards):
    """All cores that Snakemake may use; read late, because `snakemake --unlock` and the like have none."""
    return workflow.cores or 1


def shown(path):
    """Mark an output for Snakemake's own report: with a caption from workflow/report/, by benchmark or group and kind."""
    _, kind, folder, file = Path(path).parts
    name = Path(file).stem
    captions = {"{figure}": "figure", "{method}": "examples"}
    caption = kind if (kind, file) == ("channels", "latency.svg") else captions.get(name, name)
    return report(
        path,
        caption=f"../report/{caption}.rst",
        category=folder,
        subcategory="Tables" if file.endswith(".csv") else "Examples" if kind == "examples" else "Figures",
        labels={"what": name},
    )


def limit_gpus():
    """Start no more local trainings than there are places on GPUs; one that waits for a place would occupy a core.

    `--resources gpu=N` sets another number. Where there are no GPUs, trainings run without.
    """
    try:
        places = gpus.slots(os.environ)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    for available in (workflow.scheduler.global_resources, workflow.scheduler.resources):
        if places:
            available.setdefault("gpu", places)


def memory(megabytes):
    """Memory of a job, for a cluster: of each retry as much again, in case it was killed because it needs more."""

    def of(wildcards, attempt):
        return megabytes * attempt

    return of


def folder_of(run):
    """The folder of a run's results, relative to the folder of a stage."""
    return RUN.format(benchmark=run.benchmark, method=run.method, point=run.point, seed=run.seed)


def of_runs(pattern, benchmark, method=None):
    """Paths for all runs of a benchmark, or of one method on it; `{run}` means benchmark/method/point/seed."""
    return [pattern.format(run=folder_of(run)) for run in plan.runs(CONFIG, benchmark, method)]


def run_of(wildcards):
    """The run that a job's wildcards name."""
    return plan.Run(wildcards.benchmark, wildcards.method, wildcards.point, wildcards.seed)


def checkpoint(run, phase):
    """Checkpoint of a training phase of a run; of the last one of a run with published weights."""
    if plan.released(CONFIG, run) is not None:
        return f"results/released/{folder_of(run)}/checkpoint.pt"
    return f"results/train/{folder_of(run)}/{phase}.pt"


def released_files(wildcards):
    """File of the published weights of a run, and of their frequency table if they have one."""
    released = plan.released(CONFIG, run_of(wildcards))
    if released is None:
        raise unplanned("convert_released", wildcards)
    return [str(data_dir() / file.file) for file in released.files]


def phase_before(wildcards):
    """Checkpoint that a training phase starts from: the previous phase's, or that of the point before in a chain."""
    run = run_of(wildcards)
    if wildcards.phase not in plan.trainings(CONFIG, run):
        raise unplanned("train", wildcards)
    return [checkpoint(other, phase) for other, phase in plan.previous(CONFIG, run, wildcards.phase)]


def swept(wildcards, output):
    """Option that names the other points of a training's sweep, with their files; no option without a sweep.

    How a training is shared must not cause reruns, see `run_file`.
    """
    others = [
        {
            "point": run.point,
            "previous": [checkpoint(other, phase) for other, phase in plan.previous(CONFIG, run, wildcards.phase)],
            "encoder": encoders(run, wildcards.phase),
            "record": f"results/train/{folder_of(run)}/{wildcards.phase}.prov.json",
        }
        for run in plan.swept(CONFIG, run_of(wildcards), wildcards.phase)
    ]
    return ["--sweep", json.dumps(others)] if others else []


def one_at_a_time():
    """A resource for each sweep, of which there is one: while a job trains all its points, the others wait for it."""

    def of(benchmark, method, seed):
        def taken(wildcards):
            return int((wildcards.benchmark, wildcards.method, wildcards.seed) == (benchmark, method, seed))

        return taken

    return {f"sweep_{number}": of(*sweep) for number, sweep in enumerate(plan.sweeps(CONFIG))}


def limit_sweeps():
    """Start no job of a sweep while another one runs."""
    for available in (workflow.scheduler.global_resources, workflow.scheduler.resources):
        available.update(dict.fromkeys(SWEEPS, 1))


def encoders(run, phase):
    """Checkpoint of another benchmark whose encoder a training phase of a run reuses: one, or none."""
    others = plan.encoder_from(CONFIG, run, phase)
    return [checkpoint(other, last) for other in others for last in plan.last_phase(other.method)]


def encoder_of(wildcards):
    """Checkpoint of another benchmark whose encoder a training phase reuses: one, or none."""
    return encoders(run_of(wildcards), wildcards.phase)


def teacher_file(benchmark, seed, name):
    """A file of the teacher that the runs of a benchmark with a seed use."""
    return f"results/teachers/{benchmark}/seed{plan.teacher_seed(CONFIG, benchmark, seed)}/{name}"


def teacher_of(wildcards):
    """Checkpoint of the teacher that a run uses."""
    return teacher_file(wildcards.benchmark, wildcards.seed, "teacher.pt")


def teacher_files(benchmark, name):
    """A file of each teacher of a benchmark: one per seed, or one in all if it is fetched."""
    seeds = CONFIG.benchmarks[benchmark].teacher_seeds(CONFIG.run)
    return [teacher_file(benchmark, seed, name) for seed in seeds]


def of_teachers(name):
    """Function from the benchmark to a file of each of its teachers."""

    def of(wildcards):
        return teacher_files(wildcards.benchmark, name)

    return of


def body_of(wildcards):
    """Teacher of another benchmark whose body a teacher's training starts from: one, or none."""
    others = plan.body_from(CONFIG, wildcards.benchmark, wildcards.seed)
    return [teacher_file(benchmark, seed, "teacher.pt") for benchmark, seed in others]


def last_checkpoint(wildcards):
    """Checkpoint of the last training phase, of this or the reused run: none for a method without training."""
    return [checkpoint(run, phase) for run, phase in plan.exported(CONFIG, run_of(wildcards))]


def data_of(name):
    """Function from the benchmark to a file of its data set."""

    def of(wildcards):
        return f"results/data/{CONFIG.benchmarks[wildcards.benchmark].config.dataset}/{name}"

    return of


def summaries(wildcards):
    """Measurements of all runs of a benchmark."""
    return of_runs("results/evaluate/{run}/summary.json", wildcards.benchmark)


def samples(wildcards):
    """Rows per test image of all runs of a benchmark, in the order of their summaries."""
    return of_runs("results/evaluate/{run}/samples.parquet", wildcards.benchmark)


def latencies_of(benchmark, name="latency.json"):
    """A file of every method's latency measurement on a benchmark: `latency.json`, `switch.json` or the record."""
    methods = CONFIG.benchmarks[benchmark].methods
    return expand("results/latency/{benchmark}/{method}/{name}", benchmark=benchmark, method=methods, name=name)


def latencies(wildcards):
    """Latencies of all methods of a benchmark."""
    return latencies_of(wildcards.benchmark)


def switches(wildcards):
    """Costs of switching between operating points, for each method of a benchmark."""
    return latencies_of(wildcards.benchmark, "switch.json")


def halves(name):
    """Function from a method on a benchmark to a file of each of its exports, in the plan's order."""

    def of(wildcards):
        return of_runs(f"results/export/{{run}}/{name}", wildcards.benchmark, wildcards.method)

    return of


def halves_shown(name):
    """Function from a method on a benchmark to a file of each of its exports with the first seed."""

    def of(wildcards):
        return [
            f"results/export/{folder_of(run)}/{name}"
            for run in plan.first_seed(CONFIG, wildcards.benchmark, wildcards.method)
        ]

    return of


def examples(benchmarks):
    """Pictures of predictions."""
    return [
        f"results/examples/{benchmark}/{method}.webp"
        for benchmark in benchmarks
        for method in plan.examples(CONFIG, benchmark)
    ]


def tables(benchmarks):
    """Tables of some benchmarks."""
    names = STAGES["make_tables"].outputs
    return expand("results/tables/{benchmark}/{name}.csv", benchmark=benchmarks, name=names)


def figures(benchmarks, formats=("svg", "png")):
    """Figures of some benchmarks, in both formats by default."""
    return expand(
        "results/figures/{benchmark}/{figure}.{format}",
        benchmark=benchmarks,
        figure=CONFIG.run.figures,
        format=formats,
    )


def channels(benchmarks, names=("end_to_end.csv", "break_even.csv", "latency.svg", "latency.png")):
    """Latency over channels of some benchmarks, all files by default."""
    return expand("results/channels/{benchmark}/{name}", benchmark=benchmarks, name=names)


def tables_copied(wildcards):
    """Tables of a snapshot."""
    return [*tables([wildcards.benchmark]), *channels([wildcards.benchmark], ["break_even.csv"])]


def figures_copied(wildcards):
    """Figures and pictures of a snapshot."""
    drawn = figures([wildcards.benchmark], ["svg"]) + channels([wildcards.benchmark], ["latency.svg"])
    return drawn + examples([wildcards.benchmark])


def tables_of_group(name):
    """Function from a group to a table of each of its benchmarks."""

    def of(wildcards):
        benchmarks = CONFIG.run.groups[wildcards.group]
        return expand("results/tables/{benchmark}/{name}.csv", benchmark=benchmarks, name=name)

    return of


def groups():
    """Comparisons of the benchmarks of each group."""
    names = ["serving.csv", "overview.svg", "overview.png"]
    return expand("results/groups/{group}/{name}", group=CONFIG.run.groups, name=names)


def records(wildcards):
    """Records of everything behind a benchmark's figures."""
    return records_of(wildcards.benchmark)


def records_of_group(wildcards):
    """Records of everything behind a group's overview."""
    own = f"results/groups/{wildcards.group}/group.prov.json"
    return [own, *(path for benchmark in CONFIG.run.groups[wildcards.group] for path in records_of(benchmark))]


def records_of(benchmark):
    """Records of everything behind a benchmark's figures."""
    dataset = CONFIG.benchmarks[benchmark].config.dataset
    trainings = [
        f"results/train/{folder_of(run)}/{phase}.prov.json"
        for run in plan.runs(CONFIG, benchmark)
        for phase in plan.trainings(CONFIG, run)
    ]
    return [
        f"results/data/{dataset}/data.prov.json",
        *teacher_files(benchmark, "teacher.prov.json"),
        *teacher_files(benchmark, "evaluation.prov.json"),
        *trainings,
        *(
            f"results/released/{folder_of(run)}/checkpoint.prov.json"
            for run in plan.runs(CONFIG, benchmark)
            if plan.released(CONFIG, run) is not None
        ),
        *of_runs("results/export/{run}/export.prov.json", benchmark),
        *of_runs("results/evaluate/{run}/evaluate.prov.json", benchmark),
        *latencies_of(benchmark, "latency.prov.json"),
        f"results/tables/{benchmark}/tables.prov.json",
        *expand("results/figures/{benchmark}/{figure}.prov.json", benchmark=benchmark, figure=CONFIG.run.figures),
        f"results/channels/{benchmark}/latency.prov.json",
        *(path.replace(".webp", ".prov.json") for path in examples([benchmark])),
    ]
