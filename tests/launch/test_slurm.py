"""SLURM: what is submitted, what its script does, and the variables that SLURM sets."""

import pathlib
import signal
import subprocess
import sys

import pytest
from patience import HANG, catches, until

ROOT = pathlib.Path(__file__).parents[2]
TRAIN = "train --config=experiments/ring.py --workdir=runs/sweep/x"

# As srun does: a task for each node, with the variables that say which; the highest exit code.
SRUN = """
trap 'kill -TERM $tasks' TERM
while [[ $1 == --* ]]; do shift; done
for ((i = 0; i < TASKS; i++)); do
  SLURM_JOB_ID=4711 SLURM_STEP_NODELIST=localhost SLURM_NTASKS=$TASKS SLURM_PROCID=$i \\
    SLURM_LOCALID=0 SLURM_STEP_NUM_NODES=$TASKS SLURM_STEP_NUM_TASKS=$TASKS "$@" &
  tasks="$tasks $!"
done
worst=0
for task in $tasks; do
  while code=0; wait $task || code=$?; kill -0 $task 2>/dev/null; do :; done
  if [ $code -gt $worst ]; then worst=$code; fi
done
exit $worst"""


def submit(tree, flags=""):
  """Submits, and returns the script that sbatch was given."""
  tree.fake("sbatch", "cat > submitted")
  tree.run(f"launch/slurm {flags} {TRAIN}")
  return (tree.root / "submitted").read_text()


def play(tree, tasks=1):
  """Starts the script that was submitted as SLURM would."""
  tree.fake("srun", SRUN)
  tree.fake("scontrol")
  environment = tree.environment(TASKS=str(tasks), SLURM_JOB_ID="4711", PYTHONPATH=str(ROOT))
  return subprocess.Popen(
    ["bash", "submitted"],
    cwd=tree.root,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def test_what_is_submitted(tree):
  flags = "--nodes=4 --gpus_per_node=2 --cpus_per_task=8 --time=8:00:00 --partition=gpu"
  text = submit(tree, f"{flags} --sbatch='--qos=high --mem=64G' --grace=90")
  options = [line[8:] for line in text.splitlines() if line.startswith("#SBATCH ")]
  assert set(options) == {
    "--job-name=gan-sweep-x",
    "--nodes=4",
    "--ntasks-per-node=1",
    "--gpus-per-node=2",
    "--cpus-per-task=8",
    "--time=8:00:00",
    "--partition=gpu",
    f"--chdir={tree.root}",
    "--output=runs/sweep/x/slurm-%j.log",
    "--open-mode=append",
    "--dependency=singleton",
    "--requeue",
    "--signal=B:TERM@90",
    "--qos=high",
    "--mem=64G",
  }
  assert text.startswith("#!") and (tree.root / "runs/sweep/x").is_dir()
  assert "export JAX_LOCAL_DEVICE_IDS=0,1\n" in text
  assert "GAN_JAX_LOCK=requirements-cuda.lock" in text
  assert "GAN_JAX_LOCK=requirements.lock" in submit(tree)
  assert tree.run(f"launch/slurm --dry_run {TRAIN}").stdout.count("sbatch") == 1


def test_without_slurm_it_says_so(tree):
  told = tree.run(f"launch/slurm {TRAIN}", code=1, PATH=tree.bare()).stderr
  assert "there is no sbatch here" in told


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (75, True)])
def test_only_what_was_interrupted_is_put_into_the_queue_again(tree, code, requeued):
  tree.gan_jax(f'echo "$SLURM_PROCID: $*"; exit {code}')
  submit(tree, "--nodes=2")
  with play(tree, tasks=2) as job:
    told = job.communicate(timeout=HANG)[0]
  assert job.returncode == code
  assert f"0: {TRAIN}" in told and f"1: {TRAIN}" in told
  assert (["scontrol", "requeue", "4711"] in tree.calls()) == requeued


def test_the_end_of_the_time_is_passed_on_and_waited_for(tree):
  tree.gan_jax("""
    trap 'sleep 0.5; echo "saved $SLURM_PROCID"; exit 75' TERM
    echo ready
    for i in $(seq 6000); do sleep 0.1; done""")
  submit(tree, "--nodes=2")
  with play(tree, tasks=2) as job:
    assert [job.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
    until(lambda: catches(job.pid, signal.SIGTERM))
    job.send_signal(signal.SIGTERM)  # to the script alone, as --signal=B: asks for
    told = job.communicate(timeout=HANG)[0]
  assert job.returncode == 75 and "saved 0" in told and "saved 1" in told
  assert tree.calls()[-1] == ["scontrol", "requeue", "4711"]


def test_the_processes_of_a_job_find_each_other(tree):
  code = "from gan_jax import parallel; parallel.start(); import jax, os; "
  code += "who = jax.process_index(), jax.process_count(), jax.device_count(); "
  code += "os.write(1, b'%d of %d %d\\n' % who)"  # at once: both write to one pipe
  tree.gan_jax(f'exec {sys.executable} -c "{code}"')
  submit(tree, "--nodes=2")
  with play(tree, tasks=2) as job:
    told = job.communicate(timeout=HANG)[0]
  assert job.returncode == 0, told
  assert "0 of 2 2" in told and "1 of 2 2" in told
