# SPDX-License-Identifier: Apache-2.0
# What every server of contrib/bench is measured on: the origin and its blobs, the same bytes as files for those that serve
# files, how much each may cache, and a folder for what they write.
package Headpond::Bench::World;
use strict;
use warnings;
use Headpond;

my ($KIB, $MIB) = (1 << 10, 1 << 20);

our $CONTAINER = 'acct/data';
our $BIG = 256 * $MIB;
our $CACHE = 4096 * $MIB;  # of each cache, on disk or in memory: also for what is read cold, several times
our $MEMORY = 512 * $MIB;  # of those that cache on disk, beside it
our $CPU = 0;              # the servers' core; clients have the next one
# All that clients offer: what they had else depended on who prefers what, and one costs a third more than the other.
our $CIPHER = 'TLS_AES_128_GCM_SHA256';
our %client_env;

# Bytes of a reply => how many whole blobs of that size there are, for clients that cannot ask for ranges at random.
our %blobs = (4 * $KIB => 1000, 64 * $KIB => 500, $MIB => 64, 4 * $MIB => 16);
our %name = (4 * $KIB => '4 KiB', 64 * $KIB => '64 KiB', $MIB => '1 MiB', 4 * $MIB => '4 MiB');
our @sizes = sort { $a <=> $b } keys %blobs;
our $WARM = $BIG; # bytes of all that is read before anything is measured
$WARM += $_ * $blobs{$_} for @sizes;

sub blob_name { my ($size, $i) = @_; return "s$size-$i" }

# Thousands of connections take as many descriptors, of the clients and of the servers, which inherit the limit: this, where
# it can be had.
our $DESCRIPTORS = 65_536;

sub raise_limit {
    my ($hard) = Headpond::Process::slurp('/proc/self/limits') =~ /^Max open files\s+\d+\s+(\S+)/m or die 'limits';
    my $enough = $hard eq 'unlimited' || $hard >= $DESCRIPTORS;
    for my $limit ($enough ? "$DESCRIPTORS:$hard" : ("$DESCRIPTORS:$DESCRIPTORS", "$hard:$hard")) {
        last if system("prlimit --pid $$ --nofile=$limit 2>/dev/null") == 0;
    }
    ($DESCRIPTORS) = Headpond::Process::slurp('/proc/self/limits') =~ /^Max open files\s+(\d+)/m;
}

sub new {
    my ($class) = @_;
    raise_limit();
    my $self = bless { dir => Headpond::folder(), origin => Headpond::Origin->start }, $class;
    chmod 0755, "$self->{dir}"; # some servers give up root and still have to reach their folder
    Headpond::Process::spew("$self->{dir}/openssl.cnf", <<"CONF");
openssl_conf = all
[all]
ssl_conf = libssl
[libssl]
system_default = clients
[clients]
MinProtocol = TLSv1.3
Ciphersuites = $CIPHER
CONF
    $client_env{OPENSSL_CONF} = "$self->{dir}/openssl.cnf";
    $self->{origin}->container($CONTAINER, public => 1);
    $self->{origin}->blob("/$CONTAINER/big", size => $BIG, seed => 1);
    for my $size (@sizes) {
        $self->{origin}->blob("/$CONTAINER/" . blob_name($size, $_), size => $size, seed => $size + $_) for 1 .. $blobs{$size};
    }
    return $self;
}

# What blob-client reads and checks: NAME:SIZE:SEED,...
sub big_spec { return "big:$BIG:1" }
sub blobs_spec { my ($size) = @_; return join ',', map { blob_name($size, $_) . ":$size:" . ($size + $_) } 1 .. $blobs{$size} }

sub folder_in {
    my ($self, $name) = @_;
    mkdir "$self->{dir}/$name";
    return "$self->{dir}/$name";
}

# Reads everything once; where to: a folder, or nowhere. What went wrong, or nothing.
sub read_all {
    my ($base, $folder) = @_;
    my @reads = (['big', 'big'], map { ["s$_-[1-$blobs{$_}]", "s$_-#1"] } @sizes);
    for (@reads) {
        my ($status, undef, $words) = Headpond::Process->run(seconds => 120, command => ['curl', '-sSf', '--noproxy', '*',
            '-o', $folder ? "$folder/$_->[1]" : '/dev/null', "$base/$CONTAINER/$_->[0]"]);
        return "reading $_->[0]: $words" if $status;
    }
    return;
}

# Where the machine is virtual its host may take back memory that has lain free for some seconds, and then the first write to a
# page of that costs more than ten times what a write costs: whoever stores what it reads would be measured by how new its
# memory is. Under a steady load hardly any memory lies free, or for long: the page cache has it. So here: before each turn
# a file of holes is read that is larger than what is free, and what the page cache gives up for that is what the turn gets.
sub use_memory {
    my ($self) = @_;
    my ($free) = Headpond::Process::slurp('/proc/meminfo') =~ /^MemFree:\s+(\d+) kB/m or die 'MemFree';
    open my $file, '+>>', "$self->{dir}/holes" or die "$self->{dir}/holes: $!";
    my $size = -s $file;
    truncate $file, $size + $free * $KIB + 512 * $MIB or die "truncate: $!";
    sysseek $file, $size, 0 or die "seek: $!";
    my $holes;
    1 while sysread $file, $holes, $MIB;
}

# The root of the same bytes as files.
sub files {
    my ($self) = @_;
    return $self->{files} //= do {
        my $root = $self->folder_in('files');
        $self->folder_in("files/$_") for 'acct', 'acct/data';
        my $fault = read_all("http://$self->{origin}{address}", "$root/$CONTAINER");
        die "contrib/bench: $fault\n" if $fault;
        $root;
    };
}

1;
