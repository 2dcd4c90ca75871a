"""Runs (benchmark × method × operating point × seed): training phases, exported halves, measurements."""

SWEEPS = one_at_a_time()


rule train:
    """One training phase; the next phase, or point in a chain, starts from its checkpoint and can rerun alone."""
    input:
        index=data_of("index.jsonl"),
        train=data_of("train.tar"),
        val=data_of("val.tar"),
        teacher=teacher_of,
        previous=phase_before,
        encoder=encoder_of,
    output:
        checkpoint="results/train/{benchmark}/{method}/{point}/seed{seed}/{phase}.pt",
        history="results/train/{benchmark}/{method}/{point}/seed{seed}/{phase}.csv",
        record="results/train/{benchmark}/{method}/{point}/seed{seed}/{phase}.prov.json",
    log:
        "logs/train/{benchmark}/{method}/{point}/seed{seed}/{phase}.log",
    priority: priority("train")
    conda:
        "../../environment.yml"
    threads: GPUS  # one each
    resources:
        **SWEEPS,
        mem_mb=memory(6000),
        runtime="24h",
        gpu=GPUS,
    params:
        job=job_id("train"),
        config=run_file,
        sweep=swept,
    shell:
        r"""
        python -m sc2 train \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --method {wildcards.method:q} \
            --point {wildcards.point:q} \
            --seed {wildcards.seed:q} \
            --phase {wildcards.phase:q} \
            --index {input.index:q} \
            --train {input.train:q} \
            --val {input.val:q} \
            --teacher {input.teacher:q} \
            --previous {input.previous:q} \
            --encoder {input.encoder:q} \
            --out-checkpoint {output.checkpoint:q} \
            --out-history {output.history:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            {params.sweep:q} \
            --threads 1 2>&1 | tee {log:q}
        """


rule convert_released:
    """Published weights in the place of a training, see config/released/."""
    input:
        teacher=teacher_of,
        released=released_files,
    output:
        checkpoint="results/released/{benchmark}/{method}/{point}/seed{seed}/checkpoint.pt",
        record="results/released/{benchmark}/{method}/{point}/seed{seed}/checkpoint.prov.json",
    log:
        "logs/released/{benchmark}/{method}/{point}/seed{seed}.log",
    priority: priority("convert_released")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(6000),
        runtime="30m",
    params:
        job=job_id("convert_released"),
        config=run_file,
    shell:
        r"""
        python -m sc2 convert_released \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --method {wildcards.method:q} \
            --point {wildcards.point:q} \
            --seed {wildcards.seed:q} \
            --teacher {input.teacher:q} \
            --released {input.released:q} \
            --out-checkpoint {output.checkpoint:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule export:
    """Device half and server half as separate files, with newly built coding tables."""
    input:
        teacher=teacher_of,
        checkpoint=last_checkpoint,
    output:
        device="results/export/{benchmark}/{method}/{point}/seed{seed}/device.pt",
        server="results/export/{benchmark}/{method}/{point}/seed{seed}/server.pt",
        costs="results/export/{benchmark}/{method}/{point}/seed{seed}/costs.json",
        record="results/export/{benchmark}/{method}/{point}/seed{seed}/export.prov.json",
    log:
        "logs/export/{benchmark}/{method}/{point}/seed{seed}.log",
    priority: priority("export")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    params:
        job=job_id("export"),
        config=run_file,
    shell:
        r"""
        python -m sc2 export \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --method {wildcards.method:q} \
            --point {wildcards.point:q} \
            --seed {wildcards.seed:q} \
            --teacher {input.teacher:q} \
            --checkpoint {input.checkpoint:q} \
            --out-device {output.device:q} \
            --out-server {output.server:q} \
            --out-costs {output.costs:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule evaluate:
    """Bytes and quality over the wire for every test image; reproducible byte for byte."""
    input:
        index=data_of("index.jsonl"),
        test=data_of("test.tar"),
        device="results/export/{benchmark}/{method}/{point}/seed{seed}/device.pt",
        server="results/export/{benchmark}/{method}/{point}/seed{seed}/server.pt",
        costs="results/export/{benchmark}/{method}/{point}/seed{seed}/costs.json",
    output:
        samples="results/evaluate/{benchmark}/{method}/{point}/seed{seed}/samples.parquet",
        summary="results/evaluate/{benchmark}/{method}/{point}/seed{seed}/summary.json",
        record="results/evaluate/{benchmark}/{method}/{point}/seed{seed}/evaluate.prov.json",
    log:
        "logs/evaluate/{benchmark}/{method}/{point}/seed{seed}.log",
    priority: priority("evaluate")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="12h",
    params:
        job=job_id("evaluate"),
        config=run_file,
    shell:
        r"""
        python -m sc2 evaluate \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --method {wildcards.method:q} \
            --point {wildcards.point:q} \
            --seed {wildcards.seed:q} \
            --index {input.index:q} \
            --test {input.test:q} \
            --device {input.device:q} \
            --server {input.server:q} \
            --costs {input.costs:q} \
            --out-samples {output.samples:q} \
            --out-summary {output.summary:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule measure_latency:
    """Wall-clock times on one thread; reserves all cores, so that no other job disturbs the timing."""
    input:
        index=data_of("index.jsonl"),
        test=data_of("test.tar"),
        devices=halves("device.pt"),
        servers=halves("server.pt"),
    output:
        latency="results/latency/{benchmark}/{method}/latency.json",
        switch="results/latency/{benchmark}/{method}/switch.json",
        record="results/latency/{benchmark}/{method}/latency.prov.json",
    log:
        "logs/latency/{benchmark}/{method}.log",
    priority: priority("measure_latency")
    conda:
        "../../environment.yml"
    threads: all_cores
    resources:
        mem_mb=memory(4000),
        runtime="4h",
    params:
        job=job_id("measure_latency"),
        config=run_file,
    shell:
        r"""
        python -m sc2 measure_latency \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --method {wildcards.method:q} \
            --index {input.index:q} \
            --test {input.test:q} \
            --devices {input.devices:q} \
            --servers {input.servers:q} \
            --out-latency {output.latency:q} \
            --out-switch {output.switch:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads 1 2>&1 | tee {log:q}
        """
