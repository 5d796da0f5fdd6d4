// Package deploy checks what deploy/ holds with the types and the loaders of the programs that read it: nothing is misspelt,
// every setting that is named exists, and the parts fit each other.
package deploy

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

var folder = filepath.Join("..", "..", "deploy")

// state is the volume of the image's target "bridge".
const state = "/var/lib/composer-api"

// read is a file of deploy/.
func read(t *testing.T, name ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{folder}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSettingsExist: every variable that a file sets for the gateway is one that it knows.
func TestSettingsExist(t *testing.T) {
	known, err := os.ReadFile(filepath.Join("..", "..", "docs", "settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`\b(COMPOSER_[A-Z_]+|ENCRYPTION_KEY)\b`)
	found := 0
	err = filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, name := range variable.FindAll(data, -1) {
			found++
			if !bytes.Contains(known, name) {
				t.Errorf("%s names %s, which is no setting", path, name)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d settings found, %v", found, err)
	}
}

// TestCompose loads the project as `docker compose config` does.
func TestCompose(t *testing.T) {
	// What a user makes first; the file itself is not to be committed.
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(work, "compose", "secrets.env")
	if err := os.WriteFile(secrets, bytes.ReplaceAll(read(t, "compose", "secrets.env.example"), []byte("=\n"), []byte("=correct horse battery staple\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(work, "compose", "compose.yaml")}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	site := string(read(t, "compose", "nginx.conf"))
	scraped := string(read(t, "compose", "prometheus.yml"))
	for _, name := range []string{"gateway1", "gateway2"} {
		s := project.Services[name]
		for variable, want := range map[string]string{"COMPOSER_REPLICA_ADVERTISE": name + ":8788", "ENCRYPTION_KEY": "correct horse battery staple", "COMPOSER_GRACE": "60s"} {
			if got := s.Environment[variable]; got == nil || *got != want {
				t.Errorf("%s: %s is %v, want %q", name, variable, got, want)
			}
		}
		// Without the bridge there is no upstream, and every request would be answered 503.
		if s.Build.Target != "bridge" || !s.ReadOnly || !slices.Contains(s.Tmpfs, "/tmp") || !slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Type == "volume" && v.Source == name && v.Target == state
		}) {
			t.Errorf("%s has no place for Cursor's bridge: target %q, %v, %v", name, s.Build.Target, s.Tmpfs, s.Volumes)
		}
		if !strings.Contains(site, "server "+name+":8787") || !strings.Contains(scraped, `"`+name+`:9787"`) {
			t.Errorf("nginx.conf or prometheus.yml does not name %s", name)
		}
	}
	// Every file that a service mounts is there.
	for name, s := range project.Services {
		for _, v := range s.Volumes {
			if v.Type != "bind" {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts %v", name, err)
			}
		}
	}
}

// decode reads one of the files for Kubernetes, and refuses fields that the type doesn't have.
func decode[T any](t *testing.T, name string) *T {
	t.Helper()
	v := new(T)
	if err := yaml.UnmarshalStrict(read(t, "kubernetes", name), v); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return v
}

// TestKubernetes: each file has the type that it says, and selectors, ports and names meet.
func TestKubernetes(t *testing.T) {
	deployment := decode[appsv1.Deployment](t, "deployment.yaml")
	service := decode[corev1.Service](t, "service.yaml")
	budget := decode[policyv1.PodDisruptionBudget](t, "disruption.yaml")
	scaler := decode[autoscalingv2.HorizontalPodAutoscaler](t, "autoscaling.yaml")
	network := decode[networkingv1.NetworkPolicy](t, "network.yaml")
	kustomization := decode[struct {
		APIVersion, Kind string
		Resources        []string
		Labels, Images   []map[string]any
	}](t, "kustomization.yaml")
	if t.Failed() {
		return
	}
	labels := deployment.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{
		"Deployment": deployment.Spec.Selector.MatchLabels, "Service": service.Spec.Selector,
		"PodDisruptionBudget": budget.Spec.Selector.MatchLabels, "NetworkPolicy": network.Spec.PodSelector.MatchLabels,
	} {
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("the %s selects %s=%s, and the pods have %v", what, k, v, labels)
			}
		}
		if len(selector) == 0 {
			t.Errorf("the %s selects everything", what)
		}
	}
	if scaler.Spec.ScaleTargetRef.Name != deployment.Name {
		t.Errorf("the autoscaler is for %q", scaler.Spec.ScaleTargetRef.Name)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	// The root of its file system can only be read, and the bridge is written down and works somewhere.
	for _, place := range []string{state, "/tmp"} {
		if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == place && !m.ReadOnly }) {
			t.Errorf("nothing can be written in %s", place)
		}
	}
	if tag := kustomization.Images[0]["newTag"]; tag != "bridge" {
		t.Errorf("the image is %v, and that has no bridge", tag)
	}
	ports := map[string]bool{}
	for _, p := range container.Ports {
		ports[p.Name] = true
	}
	for _, rule := range network.Spec.Ingress {
		for _, p := range rule.Ports {
			if !ports[p.Port.String()] {
				t.Errorf("the network policy names the port %s", p.Port)
			}
		}
	}
	for _, p := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		if !ports[p.HTTPGet.Port.String()] {
			t.Errorf("a probe names the port %s", &p.HTTPGet.Port)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "kubernetes", "*.yaml"))
	if err != nil || len(files) != len(kustomization.Resources)+1 {
		t.Errorf("the kustomization names %v of %v", kustomization.Resources, files)
	}
}

// TestSystemd has systemd itself look at the unit.
func TestSystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze is installed")
	}
	unit := read(t, "systemd", "composer-api.service")
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	// The program is not installed here.
	path := filepath.Join(t.TempDir(), "composer-api.service")
	if err := os.WriteFile(path, bytes.ReplaceAll(unit, []byte("/usr/local/bin/composer-api serve"), []byte(program)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", path).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTheContainerBuildsWhatTheMakefileBuilds: the same flags, so that the image holds the same program.
func TestTheContainerBuildsWhatTheMakefileBuilds(t *testing.T) {
	makefile, err := os.Open(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	defer makefile.Close()
	data, err := io.ReadAll(makefile)
	if err != nil {
		t.Fatal(err)
	}
	variables := regexp.MustCompile(`\$\((\w+)\)`) // make writes $(NAME), the shell $NAME
	made := regexp.MustCompile(`(?m)^LDFLAGS = (.*)$`).FindSubmatch(data)
	built := regexp.MustCompile(`go build -trimpath -ldflags "(.*?)"`).FindSubmatch(read(t, "container", "Dockerfile"))
	if made == nil || built == nil || !bytes.Contains(data, []byte("go build -trimpath -ldflags '$(LDFLAGS)'")) ||
		variables.ReplaceAllString(string(made[1]), "$$$1") != string(built[1]) {
		t.Errorf("%q and %q", made, built)
	}
}
