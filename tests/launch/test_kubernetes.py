"""Kubernetes: what is created."""

import re
import shlex

import yaml

TRAIN = "train --config=experiments/ring.py --workdir=runs/x"


def manifest(tree, flags="", command=TRAIN):
  tree.fake("kubectl", "cat > created")
  tree.run(f"launch/kubernetes --image=here/gan_jax:cuda --claim=runs {flags} {command}")
  assert tree.calls()[-1] == ["kubectl", "create", "--filename=-"]
  return yaml.safe_load((tree.root / "created").read_text())


def pod(found):
  return found["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]


def test_one_pod_on_the_cpu(tree):
  found = manifest(tree)
  assert (found["apiVersion"], found["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
  assert found["metadata"] == {"name": "gan-runs-x"}
  (container,) = pod(found)["containers"]
  assert container["args"] == TRAIN.split() and container["image"] == "here/gan_jax:cuda"
  assert container["volumeMounts"] == [{"name": "runs", "mountPath": "/gan_jax/runs"}]
  assert pod(found)["volumes"] == [{"name": "runs", "persistentVolumeClaim": {"claimName": "runs"}}]
  assert not {"env", "resources"} & set(container) and "nodeSelector" not in pod(found)


def test_several_pods_meet_at_the_first(tree):
  flags = "--nodes=4 --gpus=8 --cpus=32 --memory=64Gi --name=big --namespace=lab --grace=60"
  found = manifest(tree, f"{flags} --selector=a.b/c=d,e=f")
  job = found["spec"]["replicatedJobs"][0]
  spec = job["template"]["spec"]
  assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
  (container,) = pod(found)["containers"]
  variables = {variable["name"]: variable["value"] for variable in container["env"]}
  # The name that JobSet gives the first pod: set, job, number of the job and of the pod; subdomain.
  address = f"{found['metadata']['name']}-{job['name']}-0-0.{found['metadata']['name']}:8476"
  assert variables == {"GAN_JAX_COORDINATOR": address, "GAN_JAX_NUM_PROCESSES": "4"}
  assert found["metadata"] == {"name": "big", "namespace": "lab"}
  assert container["resources"]["limits"] == {
    "nvidia.com/gpu": "8",
    "cpu": "32",
    "memory": "64Gi",
  }
  assert pod(found)["nodeSelector"] == {"a.b/c": "d", "e": "f"}
  assert pod(found)["terminationGracePeriodSeconds"] == 60


def test_without_kubectl_it_says_so(tree):
  command = f"launch/kubernetes --image=i --claim=c {TRAIN}"
  assert "there is no kubectl here" in tree.run(command, code=1, PATH=tree.bare()).stderr


def test_what_was_interrupted_starts_again_and_what_failed_does_not(tree):
  """All pods end by one pod's failure; its reason says which of the two it was."""
  spec = manifest(tree, "--restarts=7")["spec"]
  job = spec["replicatedJobs"][0]["template"]["spec"]
  restarted = [
    code
    for rule in job["podFailurePolicy"]["rules"]
    if "onExitCodes" in rule
    for code in rule["onExitCodes"]["values"]
  ]
  assert 75 in restarted and not {1, 2} & set(restarted)
  assert job["backoffLimit"] == 0 and pod({"spec": spec})["restartPolicy"] == "Never"
  actions = {r["onJobFailureReasons"][0]: r["action"] for r in spec["failurePolicy"]["rules"]}
  assert actions == {"PodFailurePolicy": "RestartJobSet", "BackoffLimitExceeded": "FailJobSet"}
  assert spec["failurePolicy"]["maxRestarts"] == 7


def test_words_arrive_as_they_were_typed(tree):
  odd = ["--config.a={'b': \"c\\d\"}", "--config.e=$HOME #x: [y]", "--config.f=$(whoami)"]
  (container,) = pod(manifest(tree, command=f"{TRAIN} {shlex.join(odd)}"))["containers"]
  # Kubernetes reads $(NAME) as a variable of the container, and $$( as $(.
  assert [re.sub(r"\$\$\(", "$(", word) for word in container["args"][3:]] == odd
