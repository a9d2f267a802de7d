# SPDX-License-Identifier: Apache-2.0
# nginx for contrib/bench: as a cache with slice in front of the origin, and as a server of the same bytes in files.
package Headpond::Bench::Nginx;
use strict;
use warnings;
use Headpond::Bench::Server;
use Headpond::Bench::World;

sub start {
    my ($name, $world, $http, $location) = @_;
    my $dir = $world->folder_in($name);
    my %address = Headpond::Bench::Server::addresses(qw(h1 h2c h2s));
    $address{h1s} = $address{h2s};
    my $user = $> == 0 ? 'user root;' : ''; # or its worker could not read the key and the folder
    Headpond::Process::spew("$dir/nginx.conf", <<"CONF");
daemon off;
$user
pid $dir/nginx.pid;
error_log $dir/nginx.log warn;
worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 16384; }
http {
    access_log off;
    types { }
    default_type application/octet-stream;
    # Pages go from the page cache to the socket without a copy. With TLS that takes kTLS, which is asked for below and used
    # where the kernel has it.
    sendfile on;
    # On, the last part of a kept-alive reply waits for more to fill a packet: 40 ms for 64 KiB.
    tcp_nopush off;
    # Or a connection ends after 1000 requests.
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    # As large as the frames that clients take: half as many of them as with the default.
    http2_chunk_size 16k;
    # No open() and stat() for a reply.
    open_file_cache max=16384 inactive=3600s;
    open_file_cache_valid 3600s;
    client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    ssl_certificate $Headpond::tls{certificate};
    ssl_certificate_key $Headpond::tls{key};
    ssl_conf_command Options KTLS;
    # 1.3 is not among what it offers by itself.
    ssl_protocols TLSv1.2 TLSv1.3;
    # One record a 16 KiB, not four: fewer of them, and the first byte of a hit does not wait for anything anyway.
    ssl_buffer_size 16k;
    $http
    server {
        listen $address{h1} backlog=4096;
        listen $address{h2c} http2 backlog=4096;
        listen $address{h2s} ssl http2 backlog=4096;
        location / { $location }
    }
}
CONF
    return Headpond::Bench::Server->start(name => $name, dir => $dir, address => \%address,
        command => ['nginx', '-c', "$dir/nginx.conf", '-p', $dir, '-e', "$dir/nginx.log"]);
}

# Slices of 1 MiB, as headpond's blocks.
sub slice {
    my ($world) = @_;
    my $size = $Headpond::Bench::World::CACHE >> 20;
    qx(nginx -V 2>&1) =~ /slice/ or die "this nginx was built without slice\n";
    # use_temp_path=off: what is fetched is written where it stays.
    return start('nginx-slice', $world, <<"HTTP", <<'LOCATION');
proxy_cache_path $world->{dir}/nginx-slice/cache levels=1:2 keys_zone=blobs:32m max_size=${size}m inactive=1d use_temp_path=off;
    upstream origin { server $world->{origin}{address}; keepalive 16; }
HTTP
            slice 1m;
            proxy_cache blobs;
            proxy_cache_key $uri$slice_range;
            proxy_cache_lock on;
            proxy_set_header Range $slice_range;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache_valid 200 206 1d;
            proxy_pass http://origin;
LOCATION
}

sub file {
    my ($world) = @_;
    my $server = start('nginx-file', $world, '', 'root ' . $world->files . ';');
    $server->{no_proxy} = 1;
    return $server;
}

1;
