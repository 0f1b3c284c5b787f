package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	authentication "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fill makes the directory of a volume. It may be called again after an error.
func (p *pod) fill(directory string, volume *v1.Volume) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	switch {
	case volume.EmptyDir != nil:
		// The mode is subject to the umask in the call above.
		return os.Chmod(directory, 0o777)
	case volume.ConfigMap != nil:
		return p.writeObject(directory, "ConfigMap", volume.ConfigMap.Name, volume.ConfigMap.Items, volume.ConfigMap.Optional)
	case volume.Secret != nil:
		return p.writeObject(directory, "Secret", volume.Secret.SecretName, volume.Secret.Items, volume.Secret.Optional)
	case volume.DownwardAPI != nil:
		return p.writeFields(directory, volume.DownwardAPI.Items)
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			if err := p.project(directory, source); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("its kind is not supported")
}

func (p *pod) project(directory string, source v1.VolumeProjection) error {
	switch {
	case source.ConfigMap != nil:
		return p.writeObject(directory, "ConfigMap", source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional)
	case source.Secret != nil:
		return p.writeObject(directory, "Secret", source.Secret.Name, source.Secret.Items, source.Secret.Optional)
	case source.DownwardAPI != nil:
		return p.writeFields(directory, source.DownwardAPI.Items)
	case source.ServiceAccountToken != nil:
		return p.writeToken(directory, source.ServiceAccountToken)
	}
	return fmt.Errorf("a source of it is not supported")
}

func (p *pod) writeObject(directory, kind, name string, items []v1.KeyToPath, optional *bool) error {
	data, err := p.data(kind, name, optional)
	if err != nil {
		return err
	}
	if items == nil {
		for key := range data {
			items = append(items, v1.KeyToPath{Key: key, Path: key})
		}
	}
	for _, item := range items {
		value, exists := data[item.Key]
		if !exists {
			return fmt.Errorf("%s %s has no key %s", kind, name, item.Key)
		}
		if err := write(directory, item.Path, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *pod) writeFields(directory string, items []v1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return fmt.Errorf("%s: its source is not supported", item.Path)
		}
		value, err := p.field(item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		if err := write(directory, item.Path, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *pod) writeToken(directory string, source *v1.ServiceAccountTokenProjection) error {
	request := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authentication.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.object.Name, UID: p.object.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	accounts := p.node.client.CoreV1().ServiceAccounts(p.object.Namespace)
	made, err := accounts.CreateToken(context.Background(), p.object.Spec.ServiceAccountName, request, meta.CreateOptions{})
	if err != nil {
		return err
	}
	return write(directory, source.Path, made.Status.Token)
}

func write(directory, path, value string) error {
	file := filepath.Join(directory, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(value), 0o644)
}
