/* Takes part in a MariaDB cluster's switchovers from any language: a subscription to all nodes, and
 * a gate in front of your transactions.
 *
 *   active_master_client *cluster;
 *   active_master_options options = {sizeof options, "shop-1", "shop", "node1=10.0.0.1:33307", 0,
 * 0, 0}; if (active_master_create(&options, &cluster, error, sizeof error) != ACTIVE_MASTER_OK) ...
 *   ...
 *   active_master_pass *pass;
 *   active_master_route route;
 *   if (active_master_enter(cluster, 5000, &pass, &route) == ACTIVE_MASTER_OK) {
 *     ... one transaction on a connection to route.host, route.port ...
 *     active_master_leave(pass);
 *   }
 *
 * All functions may be called from any thread. None throws or ends the process. */
#ifndef ACTIVE_MASTER_H
#define ACTIVE_MASTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACTIVE_MASTER_API __attribute__((visibility("default")))

typedef struct active_master_client active_master_client; /* a subscription with its gate */
typedef struct active_master_pass active_master_pass;     /* one transaction inside */

enum {
  ACTIVE_MASTER_OK = 0,
  ACTIVE_MASTER_TIMEOUT = 1, /* the gate was held for longer */
  ACTIVE_MASTER_INVALID = 2, /* an argument makes no sense; the text says which */
  ACTIVE_MASTER_FAILED = 3   /* out of memory or threads */
};

typedef struct active_master_options {
  size_t size;           /* sizeof(active_master_options): lets later versions add to it */
  const char* name;      /* of this proxy, unique in the cluster */
  const char* cluster;   /* active_master_cluster_name; NULL: "cluster" */
  const char* nodes;     /* name=host:port of each node's active_master_port, separated by commas */
  uint32_t heartbeat_ms; /* to the nodes; 0: 10000 */
  uint32_t
      peer_timeout_ms; /* a node whose machine is silent for so long is dialled again; 0: 5000 */
  uint32_t startup_wait_ms; /* for nodes that don't answer at start; 0: 3000 */
  /* Paths, each read again for each connection; NULL: none. What the cluster demands must be there.
   */
  const char* secret_file; /* the cluster's secret, or this proxy's key */
  const char* tls_ca;      /* PEM: the CA that certifies the nodes */
  const char* tls_cert;    /* PEM: a certificate with this proxy's name */
  const char* tls_key;     /* PEM: its key */
  const char* tls_crl;     /* PEM: what is revoked */
} active_master_options;

/* Where a transaction belongs; a connection to anywhere else is to be replaced. */
typedef struct active_master_route {
  uint64_t epoch;
  char node[65];
  char host[254];
  uint16_t port;
} active_master_route;

/* Starts to subscribe; returns at once, with the gate held until the active master is known. On an
 * error `error`, unless it is NULL, gets a text. */
ACTIVE_MASTER_API int active_master_create(const active_master_options* options,
                                           active_master_client** result, char* error,
                                           size_t error_size);

/* Waits while the gate is held, and just before a switchover up to 100 ms for its turn,
 * `timeout_ms` at most. On ACTIVE_MASTER_OK `pass` is to be given back by active_master_leave(),
 * soon: a switchover waits for it. `route` may be NULL. */
ACTIVE_MASTER_API int active_master_enter(active_master_client* cluster, uint32_t timeout_ms,
                                          active_master_pass** pass, active_master_route* route);
ACTIVE_MASTER_API void active_master_leave(active_master_pass* pass); /* NULL is fine */

/* Where traffic goes now. ACTIVE_MASTER_TIMEOUT while the gate is held. */
ACTIVE_MASTER_API int active_master_current(active_master_client* cluster,
                                            active_master_route* route);

/* Why traffic isn't as it should be; "" while it is. */
ACTIVE_MASTER_API int active_master_last_error(active_master_client* cluster, char* text,
                                               size_t size);

/* "debug", "info", "warning", "error" or "off"; the library logs to standard output, for the whole
 * process. */
ACTIVE_MASTER_API int active_master_log_level(const char* level);

/* Ends the subscription. No other call with `cluster` may be under way; passes may still be there
 * and are to be given back as always. NULL is fine. */
ACTIVE_MASTER_API void active_master_destroy(active_master_client* cluster);

/* What a code means, in words. */
ACTIVE_MASTER_API const char* active_master_text(int code);

#ifdef __cplusplus
}
#endif

#endif
