"""Teachers: trained here with each seed, or fetched and checked by hash; evaluated on the uncompressed test images."""


rule train_teacher:
    """One teacher per seed: a run uses the teacher of its own seed."""
    input:
        index=data_of("index.jsonl"),
        meta=data_of("meta.json"),
        train=data_of("train.tar"),
        val=data_of("val.tar"),
        body=body_of,
    output:
        checkpoint="results/teachers/{benchmark}/seed{seed}/teacher.pt",
        history="results/teachers/{benchmark}/seed{seed}/teacher.csv",
        record="results/teachers/{benchmark}/seed{seed}/teacher.prov.json",
    log:
        "logs/teachers/{benchmark}/seed{seed}/train.log",
    wildcard_constraints:
        benchmark="|".join(TRAINED) or NONE,
    priority: priority("train_teacher")
    conda:
        "../../environment.yml"
    threads: GPUS  # one each: sums depend on it, see sc2/system/surroundings.py
    resources:
        mem_mb=memory(4000),
        runtime="24h",
        gpu=GPUS,
    params:
        job=job_id("train_teacher"),
        config=run_file,
    shell:
        r"""
        python -m sc2 train_teacher \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --seed {wildcards.seed:q} \
            --index {input.index:q} \
            --meta {input.meta:q} \
            --train {input.train:q} \
            --val {input.val:q} \
            --body {input.body:q} \
            --out-checkpoint {output.checkpoint:q} \
            --out-history {output.history:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads 1 2>&1 | tee {log:q}
        """


rule fetch_teacher:
    """The only teacher of its benchmark, filed under the first seed."""
    input:
        meta=data_of("meta.json"),
    output:
        checkpoint="results/teachers/{benchmark}/seed{seed}/teacher.pt",
        record="results/teachers/{benchmark}/seed{seed}/teacher.prov.json",
    log:
        "logs/teachers/{benchmark}/seed{seed}/fetch.log",
    wildcard_constraints:
        benchmark="|".join(FETCHED) or NONE,
    priority: priority("fetch_teacher")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    params:
        job=job_id("fetch_teacher"),
        config=run_file,
    shell:
        r"""
        python -m sc2 fetch_teacher \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --seed {wildcards.seed:q} \
            --meta {input.meta:q} \
            --out-checkpoint {output.checkpoint:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule evaluate_teacher:
    input:
        index=data_of("index.jsonl"),
        test=data_of("test.tar"),
        teacher="results/teachers/{benchmark}/seed{seed}/teacher.pt",
    output:
        evaluation="results/teachers/{benchmark}/seed{seed}/evaluation.json",
        samples="results/teachers/{benchmark}/seed{seed}/samples.parquet",
        record="results/teachers/{benchmark}/seed{seed}/evaluation.prov.json",
    log:
        "logs/teachers/{benchmark}/seed{seed}/evaluate.log",
    priority: priority("evaluate_teacher")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="2h",
    params:
        job=job_id("evaluate_teacher"),
        config=run_file,
    shell:
        r"""
        python -m sc2 evaluate_teacher \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --seed {wildcards.seed:q} \
            --index {input.index:q} \
            --test {input.test:q} \
            --teacher {input.teacher:q} \
            --out-evaluation {output.evaluation:q} \
            --out-samples {output.samples:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """
