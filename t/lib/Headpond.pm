# SPDX-License-Identifier: Apache-2.0
# What every test stands on: an origin, headpond in front of it, and clients, each started on a port of the system's
# choice and watched through its log. A test reads in three acts: origin, proxy, client with expectations.
#
#     my $origin = Headpond::Origin->start;
#     my $pond = Headpond->start(origin => $origin);
#     my $reply = $pond->get('/acct/data/x', proto => 'h2s', range => 'bytes=0-9');
#     $pond->stop;    # exit code 0, nothing from a sanitizer, no secret in a log
package Headpond;
use strict;
use warnings;
use File::Temp ();
use FindBin;
use JSON::PP ();
use Test::More;
use Headpond::Http;
use Headpond::Origin;
use Headpond::Process;

our $source = $ENV{HEADPOND_SOURCE} // "$FindBin::Bin/..";
our $build = $ENV{HEADPOND_BUILD} // "$source/build";
$Headpond::Origin::build = $build;

# One certificate for everything a test starts.
our $tls_dir = File::Temp->newdir; # a global: it must outlive the loading of this file
our %tls = (certificate => "$tls_dir/tls.crt", key => "$tls_dir/tls.key");
%Headpond::Origin::tls = %tls;
$Headpond::Http::certificate = $tls{certificate};
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=headpond test' "
    . "-addext 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.blob.localhost,DNS:*.dfs.localhost' -keyout '$tls{key}' "
    . "-out '$tls{certificate}' 2>'$tls_dir/log'") == 0
    or die "openssl could not make a certificate\n";

sub protocols { return qw(h1 h1s h2c h2s) }

# A folder that goes away with the test.
sub folder { return File::Temp->newdir }

# The configuration as a test means it: `config` replaces whole keys, `account` adds to the one account `acct`.
sub configuration {
    my ($self) = @_;
    my $origin = $self->{origin};
    my $base = $origin ? "http://$origin->{address}" : 'http://127.0.0.1:9';
    return {
        listen => [{ address => '127.0.0.1:0' }, { address => '127.0.0.1:0', %tls }],
        admin => '127.0.0.1:0',
        workers => 2,
        memory => '256MiB',
        store => [{ path => "$self->{dir}/store", size => '1GiB' }],
        access_log => "$self->{dir}/access.log",
        accounts => [{ name => 'acct', origin => "$base/acct", freshness => '3600s', %{ $self->{account} // {} } }],
        %{ $self->{config} // {} },
    };
}

sub new {
    my ($class, %self) = @_;
    $self{dir} //= folder();
    mkdir "$self{dir}/store";
    my $self = bless \%self, $class;
    $self->write_config;
    return $self;
}

sub write_config {
    my ($self) = @_;
    my $config = $self->configuration;
    delete $config->{$_} for grep { !defined $config->{$_} } keys %$config;
    Headpond::Process::spew("$self->{dir}/headpond.yaml", JSON::PP->new->pretty->canonical->encode($config));
}

# Starts headpond and waits until it listens. Options: origin, account, config, dir (of an earlier one, to restart on its
# store).
sub start {
    my ($class, %self) = @_;
    my $self = $class->new(%self);
    $self->run;
    return $self;
}

sub run {
    my ($self) = @_;
    my $log = "$self->{dir}/error.log";
    $self->{log_start} = -s $log // 0;
    $self->{process} = Headpond::Process->start(
        command => ["$build/headpond", '-c', "$self->{dir}/headpond.yaml"], log => $log, out => "$self->{dir}/out",
        env => $self->{env});
    for my $scheme (qw(http https admin)) {
        next if $scheme eq 'https' && @{ $self->configuration->{listen} } < 2;
        $self->{$scheme} = $self->wait_listen($scheme)
            // die "headpond did not start: " . $self->{process}->log_text;
    }
}

sub wait_listen {
    my ($self, $scheme) = @_;
    my $found = Headpond::Process::wait_until(sub {
        my $gone = !$self->{process}->alive;
        return $1 if $self->log_text =~ / listen .*?address=(\S+).*? scheme=$scheme\b/;
        return $gone ? 'gone' : undef;
    }, 30);
    return defined $found && $found ne 'gone' ? $found : undef;
}

# What this start has logged.
sub log_text {
    my ($self) = @_;
    return substr $self->{process}->log_text, $self->{log_start};
}

# Once the log has it: true.
sub wait_log {
    my ($self, $pattern, $seconds) = @_;
    return Headpond::Process::wait_until(sub { $self->log_text =~ $pattern }, $seconds);
}

# The access log's entries, once there are at least so many that the code picks.
sub access {
    my ($self, $count, $pick) = @_;
    my @entries;
    Headpond::Process::wait_until(sub {
        @entries = map { eval { JSON::PP::decode_json($_) } // { broken => $_ } }
            split /\n/, Headpond::Process::slurp("$self->{dir}/access.log");
        @entries = grep { $pick->($_) } @entries if $pick;
        return @entries >= ($count // 1);
    }, 10);
    return @entries;
}

# ---- Requests. ----

sub url {
    my ($self, $proto, $path) = @_;
    return $proto =~ /s$/ ? "https://$self->{https}$path" : "http://$self->{http}$path";
}

sub begin {
    my ($self, $path, %r) = @_;
    $r{proto} //= 'h1';
    $path .= ($path =~ /\?/ ? '&' : '?') . $r{sas} if $r{sas};
    return Headpond::Http::start(url => $self->url($r{proto}, $path), %r);
}

sub request { my ($self, $path, %r) = @_; return $self->begin($path, %r)->finish }
sub get { my ($self, $path, %r) = @_; return $self->request($path, %r) }
sub head { my ($self, $path, %r) = @_; return $self->request($path, method => 'HEAD', %r) }
sub put { my ($self, $path, %r) = @_; return $self->request($path, method => 'PUT', %r) }
sub delete_blob { my ($self, $path, %r) = @_; return $self->request($path, method => 'DELETE', %r) }

sub raw { my ($self, $bytes, $seconds, $whole) = @_; return Headpond::Http::raw($self->{http}, $bytes, $seconds, $whole) }
sub connect { my ($self) = @_; return Headpond::Http::connect_to($self->{http}) }

# t/client/blob-client against one container: mode, proto, container, sas, and its options by name. Started; `finish` of
# what is returned gives its JSON with its exit code as `exit`. base: instead of this one's, a URL or several.
sub start_client {
    my ($self, $mode, %o) = @_;
    my $proto = delete $o{proto} // 'h1';
    my $container = delete $o{container} // 'acct/data';
    my $sas = delete $o{sas};
    my $base = delete $o{base} // $self->url($proto, "/$container");
    my @bases = map { ('--base', $_) } ref $base ? @$base : $base;
    my @options = map { my $name = tr/_/-/r; ref $o{$_} ? "--$name" : ("--$name", $o{$_}) } sort keys %o;
    my $dir = folder();
    my $process = Headpond::Process->start(
        command => ["$build/t/client/blob-client", $mode, @bases, '--proto', $proto, '--ca', $tls{certificate},
            $sas ? ('--query', $sas) : (), @options],
        log => "$dir/log", out => "$dir/out");
    return bless { process => $process, dir => $dir }, 'Headpond::Client';
}

sub client {
    my ($self, $mode, %o) = @_;
    return $self->start_client($mode, %o)->finish;
}

# ---- Metrics. ----

sub admin_get {
    my ($self, $target, $method) = @_;
    $method //= 'GET';
    my ($text) = Headpond::Http::raw($self->{admin}, "$method $target HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n", 10);
    return Headpond::Http::parse($text);
}

# The sum of a metric's samples that carry these labels.
sub metric {
    my ($self, $name, %labels) = @_;
    my $sum = 0;
    for (split /\n/, $self->admin_get('/metrics')->{body}) {
        my ($found, $text, $value) = /^(\w+)(?:\{(.*)\})? (\S+)$/ or next;
        next if $found ne $name;
        my %has = ($text // '') =~ /(\w+)="([^"]*)"/g;
        next if grep { ($has{$_} // '') ne $labels{$_} } keys %labels;
        $sum += $value;
    }
    return $sum;
}

# Waits until the code, given the metric's value, says yes; the value. A number instead of the code: at least that.
sub wait_metric {
    my ($self, $want, $name, %labels) = @_;
    return Headpond::Process::wait_value($want, $name, sub { $self->metric($name, %labels) });
}

# Waits until no fill is under way and what was read has reached the store.
sub settle {
    my ($self) = @_;
    my ($before, $same) = (-1, 0);
    return Headpond::Process::wait_until(sub {
        my $written = $self->metric('headpond_store_written_bytes_total');
        $same = $written == $before && $self->metric('headpond_fills_inflight') == 0 ? $same + 1 : 0;
        $before = $written;
        return $same >= 10;
    }, 30);
}

# Calls the code, which reads, until it asks nothing of the origin: a busy machine may be too slow to write all that comes.
sub read_until_kept {
    my ($self, $origin, $read) = @_;
    my $asked = 1;
    for (my $turn = 0; $asked > 0 && $turn < 10; $turn++) {
        $origin->reset_stats;
        $read->();
        $asked = $origin->data_requests;
        $self->settle;
    }
    Test::More::is($asked, 0, 'all that was read is kept');
}

# ---- The end. ----

sub sanitizer_words {
    my ($text) = @_;
    return join '', grep { /Sanitizer|runtime error:|Assertion/ } map { "$_\n" } split /\n/, $text;
}

# No secret in any log; nothing from a sanitizer.
sub check_logs {
    my ($self) = @_;
    my %text = map { $_ => Headpond::Process::slurp("$self->{dir}/$_") } qw(error.log access.log out);
    is(sanitizer_words($text{'error.log'}), '', 'no complaint of a sanitizer');
    my @leaks;
    for my $name (sort keys %text) {
        push @leaks, grep { index($text{$name}, $_) >= 0 } map { $_, Headpond::Origin::escape($_) } @Headpond::Origin::secrets;
    }
    is(scalar @leaks, 0, 'no secret in a log');
}

# SIGTERM, exit code 0, clean logs.
sub stop {
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $status = $self->{process}->stop;
    is($status, 0, 'headpond ends with 0 on SIGTERM');
    $self->check_logs;
    $self->dump_logs if $status != 0;
    $self->{stopped} = 1;
}

sub stop_now {
    my ($self) = @_;
    $self->{stopped} = 1;
    return $self->{process}->stop_now;
}

sub dump_logs {
    my ($self) = @_;
    my @lines = split /\n/, $self->{process}->log_text;
    @lines = @lines[-60 .. -1] if @lines > 60;
    diag(join "\n", "headpond's log ends with:", @lines);
}

package Headpond::Client;

sub finish {
    my ($self, $seconds) = @_;
    my $status = $self->{process}->wait_end($seconds // 300) // $self->{process}->stop_now;
    my $out = eval { JSON::PP::decode_json(Headpond::Process::slurp("$self->{dir}/out")) } // {};
    $out->{exit} = $status & 127 ? -1 : $status >> 8;
    $out->{text} = Headpond::Process::slurp("$self->{dir}/log");
    return $out;
}

package Headpond;

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    return if !$self->{process} || $self->{stopped} && Test::More->builder->is_passing;
    $self->dump_logs;
    $self->{process}->stop_now;
}

1;
