"""Tables, figures, example pictures, comparisons of tasks, and snapshots."""


rule make_tables:
    input:
        summaries=summaries,
        samples=samples,
        latencies=latencies,
        switches=switches,
        teachers=of_teachers("evaluation.json"),
        teacher_samples=of_teachers("samples.parquet"),
    output:
        rate_quality=shown("results/tables/{benchmark}/rate_quality.csv"),
        rate_quality_seeds=shown("results/tables/{benchmark}/rate_quality_seeds.csv"),
        comparison=shown("results/tables/{benchmark}/comparison.csv"),
        timed_hypervolume=shown("results/tables/{benchmark}/timed_hypervolume.csv"),
        fewest_bytes=shown("results/tables/{benchmark}/fewest_bytes.csv"),
        equal_quality=shown("results/tables/{benchmark}/equal_quality.csv"),
        byte_ratios=shown("results/tables/{benchmark}/byte_ratios.csv"),
        paired=shown("results/tables/{benchmark}/paired.csv"),
        orderings=shown("results/tables/{benchmark}/orderings.csv"),
        reproduction=shown("results/tables/{benchmark}/reproduction.csv"),
        latency=shown("results/tables/{benchmark}/latency.csv"),
        switch=shown("results/tables/{benchmark}/switch.csv"),
        teacher=shown("results/tables/{benchmark}/teacher.csv"),
        record="results/tables/{benchmark}/tables.prov.json",
    log:
        "logs/tables/{benchmark}.log",
    priority: priority("make_tables")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="30m",
    params:
        job=job_id("make_tables"),
        config=run_file,
    shell:
        r"""
        python -m sc2 make_tables \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --summaries {input.summaries:q} \
            --samples {input.samples:q} \
            --latencies {input.latencies:q} \
            --switches {input.switches:q} \
            --teachers {input.teachers:q} \
            --teacher-samples {input.teacher_samples:q} \
            --out-rate-quality {output.rate_quality:q} \
            --out-rate-quality-seeds {output.rate_quality_seeds:q} \
            --out-comparison {output.comparison:q} \
            --out-timed-hypervolume {output.timed_hypervolume:q} \
            --out-fewest-bytes {output.fewest_bytes:q} \
            --out-equal-quality {output.equal_quality:q} \
            --out-byte-ratios {output.byte_ratios:q} \
            --out-paired {output.paired:q} \
            --out-orderings {output.orderings:q} \
            --out-reproduction {output.reproduction:q} \
            --out-latency {output.latency:q} \
            --out-switch {output.switch:q} \
            --out-teacher {output.teacher:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule plot_figure:
    input:
        rate_quality="results/tables/{benchmark}/rate_quality.csv",
        latency="results/tables/{benchmark}/latency.csv",
        teacher="results/tables/{benchmark}/teacher.csv",
    output:
        svg=shown("results/figures/{benchmark}/{figure}.svg"),
        png="results/figures/{benchmark}/{figure}.png",
        record="results/figures/{benchmark}/{figure}.prov.json",
    log:
        "logs/figures/{benchmark}/{figure}.log",
    priority: priority("plot_figure")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    params:
        job=job_id("plot_figure"),
        config=run_file,
    shell:
        r"""
        python -m sc2 plot_figure \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --figure {wildcards.figure:q} \
            --rate-quality {input.rate_quality:q} \
            --latency {input.latency:q} \
            --teacher {input.teacher:q} \
            --out-svg {output.svg:q} \
            --out-png {output.png:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule model_latency:
    """End-to-end latency over channels: tables and a figure."""
    input:
        rate_quality="results/tables/{benchmark}/rate_quality.csv",
        latency="results/tables/{benchmark}/latency.csv",
        teacher="results/tables/{benchmark}/teacher.csv",
        samples=samples,
    output:
        end_to_end=shown("results/channels/{benchmark}/end_to_end.csv"),
        break_even=shown("results/channels/{benchmark}/break_even.csv"),
        svg=shown("results/channels/{benchmark}/latency.svg"),
        png="results/channels/{benchmark}/latency.png",
        record="results/channels/{benchmark}/latency.prov.json",
    log:
        "logs/channels/{benchmark}.log",
    priority: priority("model_latency")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    params:
        job=job_id("model_latency"),
        config=run_file,
    shell:
        r"""
        python -m sc2 model_latency \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --rate-quality {input.rate_quality:q} \
            --latency {input.latency:q} \
            --teacher {input.teacher:q} \
            --samples {input.samples:q} \
            --out-end-to-end {output.end_to_end:q} \
            --out-break-even {output.break_even:q} \
            --out-svg {output.svg:q} \
            --out-png {output.png:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule draw_examples:
    input:
        index=data_of("index.jsonl"),
        test=data_of("test.tar"),
        devices=halves_shown("device.pt"),
        servers=halves_shown("server.pt"),
    output:
        webp=shown("results/examples/{benchmark}/{method}.webp"),
        record="results/examples/{benchmark}/{method}.prov.json",
    log:
        "logs/examples/{benchmark}/{method}.log",
    priority: priority("draw_examples")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="30m",
    params:
        job=job_id("draw_examples"),
        config=run_file,
    shell:
        r"""
        python -m sc2 draw_examples \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --method {wildcards.method:q} \
            --index {input.index:q} \
            --test {input.test:q} \
            --devices {input.devices:q} \
            --servers {input.servers:q} \
            --out-webp {output.webp:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule compare_tasks:
    input:
        rate_quality=tables_of_group("rate_quality"),
        latency=tables_of_group("latency"),
        teacher=tables_of_group("teacher"),
    output:
        serving=shown("results/groups/{group}/serving.csv"),
        svg=shown("results/groups/{group}/overview.svg"),
        png="results/groups/{group}/overview.png",
        record="results/groups/{group}/group.prov.json",
    log:
        "logs/groups/{group}.log",
    priority: priority("compare_tasks")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    params:
        job=job_id("compare_tasks"),
        config=run_file,
    shell:
        r"""
        python -m sc2 compare_tasks \
            --config {params.config:q} \
            --group {wildcards.group:q} \
            --rate-quality {input.rate_quality:q} \
            --latency {input.latency:q} \
            --teacher {input.teacher:q} \
            --out-serving {output.serving:q} \
            --out-svg {output.svg:q} \
            --out-png {output.png:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule snapshot:
    """Copies tables and figures, with hardware, times and record ids, to docs/reference/; only on request."""
    input:
        tables=tables_copied,
        figures=figures_copied,
        records=records,
    output:
        readme="docs/reference/{benchmark}/README.md",
        record="docs/reference/{benchmark}/snapshot.prov.json",
    log:
        "logs/snapshot/{benchmark}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    params:
        job=job_id("snapshot"),
        config=run_file,
    shell:
        r"""
        python -m sc2 snapshot \
            --config {params.config:q} \
            --benchmark {wildcards.benchmark:q} \
            --tables {input.tables:q} \
            --figures {input.figures:q} \
            --records {input.records:q} \
            --out-readme {output.readme:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """


rule snapshot_group:
    """Copies the overview and the serving costs of a group to docs/reference/; only on request."""
    input:
        serving="results/groups/{group}/serving.csv",
        orderings=tables_of_group("orderings"),
        figures="results/groups/{group}/overview.svg",
        records=records_of_group,
    output:
        readme="docs/reference/{group}/README.md",
        record="docs/reference/{group}/snapshot.prov.json",
    log:
        "logs/snapshot/{group}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    params:
        job=job_id("snapshot_group"),
        config=run_file,
    shell:
        r"""
        python -m sc2 snapshot_group \
            --config {params.config:q} \
            --group {wildcards.group:q} \
            --serving {input.serving:q} \
            --orderings {input.orderings:q} \
            --figures {input.figures:q} \
            --records {input.records:q} \
            --out-readme {output.readme:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """
