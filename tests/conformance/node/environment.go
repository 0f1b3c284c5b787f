package main

import (
	"context"
	"fmt"
	"regexp"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// environment is the environment of a container: variables that runtimes and the kubelet add, and its own.
func (c *container) environment() (map[string]string, error) {
	values := map[string]string{
		"PATH":                          "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOSTNAME":                      c.pod.object.Name,
		"KUBERNETES_SERVICE_HOST":       "10.96.0.1",
		"KUBERNETES_SERVICE_PORT":       "443",
		"KUBERNETES_SERVICE_PORT_HTTPS": "443",
	}
	for _, from := range c.spec.EnvFrom {
		var data map[string]string
		var err error
		if from.ConfigMapRef != nil {
			data, err = c.pod.data("ConfigMap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		} else if from.SecretRef != nil {
			data, err = c.pod.data("Secret", from.SecretRef.Name, from.SecretRef.Optional)
		}
		if err != nil {
			return nil, err
		}
		for key, value := range data {
			values[from.Prefix+key] = value
		}
	}
	for _, one := range c.spec.Env {
		value, err := c.variable(one)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", one.Name, err)
		}
		values[one.Name] = expand(value, values)
	}
	return values, nil
}

func (c *container) variable(one v1.EnvVar) (string, error) {
	from := one.ValueFrom
	switch {
	case from == nil:
		return one.Value, nil
	case from.FieldRef != nil:
		return c.pod.field(from.FieldRef.FieldPath)
	case from.ConfigMapKeyRef != nil:
		data, err := c.pod.data("ConfigMap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)
		return data[from.ConfigMapKeyRef.Key], err
	case from.SecretKeyRef != nil:
		data, err := c.pod.data("Secret", from.SecretKeyRef.Name, from.SecretKeyRef.Optional)
		return data[from.SecretKeyRef.Key], err
	}
	return "", fmt.Errorf("its source is not supported")
}

var reference = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)`)

// expand replaces $(NAME) where the variable exists.
func expand(text string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if value, exists := values[found[2:len(found)-1]]; exists {
			return value
		}
		return found
	})
}

// data is the content of a ConfigMap or Secret in the Pod's namespace; nothing if it is optional and does not exist.
func (p *pod) data(kind, name string, optional *bool) (map[string]string, error) {
	core := p.node.client.CoreV1()
	data := map[string]string{}
	var err error
	if kind == "Secret" {
		var object *v1.Secret
		if object, err = core.Secrets(p.object.Namespace).Get(context.Background(), name, meta.GetOptions{}); err == nil {
			for key, value := range object.Data {
				data[key] = string(value)
			}
		}
	} else {
		var object *v1.ConfigMap
		if object, err = core.ConfigMaps(p.object.Namespace).Get(context.Background(), name, meta.GetOptions{}); err == nil {
			for key, value := range object.BinaryData {
				data[key] = string(value)
			}
			for key, value := range object.Data {
				data[key] = value
			}
		}
	}
	if errors.IsNotFound(err) && optional != nil && *optional {
		return data, nil
	}
	return data, err
}
