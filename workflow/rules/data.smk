"""Data sets: generated or imported once, stored as an index and one archive per split."""


rule prepare_data:
    output:
        index="results/data/{dataset}/index.jsonl",
        meta="results/data/{dataset}/meta.json",
        train="results/data/{dataset}/train.tar",
        val="results/data/{dataset}/val.tar",
        test="results/data/{dataset}/test.tar",
        record="results/data/{dataset}/data.prov.json",
    log:
        "logs/data/{dataset}.log",
    priority: priority("prepare_data")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="4h",
    params:
        job=job_id("prepare_data"),
        config=run_file,
    shell:
        r"""
        python -m sc2 prepare_data \
            --config {params.config:q} \
            --dataset {wildcards.dataset:q} \
            --out-index {output.index:q} \
            --out-meta {output.meta:q} \
            --out-train {output.train:q} \
            --out-val {output.val:q} \
            --out-test {output.test:q} \
            --record {output.record:q} \
            --job {params.job:q} \
            --threads {threads} 2>&1 | tee {log:q}
        """
