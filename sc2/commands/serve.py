"""`sc2 serve`: server halves behind HTTP, until the process is told to end."""

import argparse
import os

from sc2.commands.tokens import read_token
from sc2.errors import ConfigError
from sc2.system.surroundings import settle


def serve(arguments: argparse.Namespace) -> None:
    """Load the server halves and answer until SIGINT or SIGTERM, which let requests in progress finish.

    Args:
        arguments: Those of the command.

    Raises:
        CheckpointError: A file is no usable server half.
        ConfigError: Options do not go together, or a file of them cannot be read.
    """
    settle(os.environ, threads=arguments.threads)
    import torch
    import uvicorn

    from sc2.serving.app import Limits, build_app
    from sc2.serving.halves import ServerHalves
    from sc2.serving.protocol import patient_for

    torch.set_num_threads(arguments.threads)
    if (arguments.certificate is None) != (arguments.key is None):
        raise ConfigError("TLS needs both --certificate and --key")
    for file in (arguments.certificate, arguments.key):
        if file is not None and not file.is_file():
            raise ConfigError(f"there is no file {file}")
    limits = Limits(
        most_bytes=arguments.most_bytes,
        most_waiting=arguments.most_waiting,
        batch=arguments.batch,
        batch_s=arguments.batch_ms / 1000,
        timeout_s=arguments.timeout,
        token=None if arguments.token_file is None else read_token(arguments.token_file),
    )
    halves = ServerHalves(arguments.checkpoints)
    for each in halves.listed():
        print(f"{each['method']} {each['point']}: {each['task']}, model {each['model']}", flush=True)
    uvicorn.run(
        build_app(halves, limits),
        host=arguments.host,
        port=arguments.port,
        http=patient_for(arguments.timeout),
        ssl_certfile=arguments.certificate,
        ssl_keyfile=arguments.key,
        # Connections that wait for nothing must not grow without limit either.
        limit_concurrency=4 * arguments.most_waiting,
        timeout_graceful_shutdown=int(arguments.timeout) + 1,
        log_level="info",
        access_log=False,
    )
