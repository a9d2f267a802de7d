/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube.h: asks the API server of the Kubernetes cluster that this node runs in for a service's endpoints: a list, and
 * then a watch of what changes (slices.h), which goes on where it was when it breaks.
 *
 * As every program in a pod does: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT of the environment say where that
 * server is; the folder of the pod's service account has its CA (ca.crt), and a token, which is read anew for each
 * request, since it is replaced every hour, and goes out over TLS alone. The account needs a role in the service's
 * namespace that has the verbs list and watch on endpointslices of the group discovery.k8s.io.
 *
 * It waits for the network: one thread's own, which is no reader of RCU meanwhile.
 */
#ifndef HEADPOND_POOL_KUBE_H
#define HEADPOND_POOL_KUBE_H

#include <stdint.h>

#include "base/conf_members.h"
#include "base/status.h"
#include "base/str.h"
#include "pool/dns.h"

struct kube;

/* `text`: of kind CONF_MEMBERS_KUBERNETES; it is copied. `account`: the service account's folder, which outlives it, or
 * NULL: where Kubernetes mounts it. */
struct kube *kube_new(const struct conf_members_text *text, const char *account);
/* Empties the pointer, which may be NULL. */
void kube_free(struct kube **kube);

/* Goes on with what is to be asked until something new is known (OK; kube_hosts has it), until clock_mono_ms is that
 * (AGAIN), until kube_stop (CANCELLED), or until it fails, with some words in *problem: DENIED, BUSY, NOT_FOUND, and
 * what else a request may end by. After a failure the next call tries again: who calls makes a pause. */
enum status kube_wait(struct kube *kube, int64_t until_ms, struct strbuf *problem) STATUS_CHECKED;
/* Whoever is known, also after a failure; as slices_hosts. */
void kube_hosts(const struct kube *kube, struct dns_hosts *hosts);
/* Has kube_wait return at once, now and from now on. Any thread. */
void kube_stop(struct kube *kube);

#endif
