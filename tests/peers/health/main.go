// The standard health service as grpc-go has it: a server of it, and a client that says in one line
// how it was answered.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

var (
	listen    = flag.String("listen", ":8080", "serve: where")
	after     = flag.Duration("after", 0, "serve: how long after the start")
	target    = flag.String("target", "", "check, watch: whom to connect to")
	authority = flag.String("authority", "", "check, watch: whom to ask for")
	service   = flag.String("service", "", "check, watch: the service; `slow` is never answered, `flips` changes its mind")
	deadline  = flag.Duration("deadline", 30*time.Second, "check, watch: how long")
	cancel    = flag.Duration("cancel", 0, "check, watch: when to give up by oneself")
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("health serve|check|watch [options]")
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	switch os.Args[1] {
	case "serve":
		serve()
	case "check", "watch":
		ask(os.Args[1] == "watch")
	default:
		log.Fatalf("%s: neither serve nor check nor watch", os.Args[1])
	}
}

func serve() {
	time.Sleep(*after)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	told := health.NewServer()
	go func() {
		for serving := true; ; serving = !serving {
			now := pb.HealthCheckResponse_NOT_SERVING
			if serving {
				now = pb.HealthCheckResponse_SERVING
			}
			told.SetServingStatus("flips", now)
			time.Sleep(200 * time.Millisecond)
		}
	}()
	// What ends before its answer is logged, and why.
	unary := func(ctx context.Context, request interface{}, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (interface{}, error) {
		if check, ok := request.(*pb.HealthCheckRequest); ok && check.Service == "slow" {
			log.Print("a slow check has begun")
			<-ctx.Done()
			log.Print("a slow check has ended: ", ctx.Err())
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return next(ctx, request)
	}
	stream := func(server interface{}, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		log.Print("a watch has begun")
		err := next(server, stream)
		log.Print("a watch has ended: ", stream.Context().Err())
		return err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
	pb.RegisterHealthServer(server, told)
	log.Fatal(server.Serve(listener))
}

func ask(watch bool) {
	connection, err := grpc.Dial(*target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(*authority))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), *deadline)
	defer stop()
	if *cancel > 0 {
		time.AfterFunc(*cancel, stop)
	}
	client, request := pb.NewHealthClient(connection), &pb.HealthCheckRequest{Service: *service}
	if watch {
		err = watched(client, ctx, request)
	} else {
		var answer *pb.HealthCheckResponse
		if answer, err = client.Check(ctx, request); err == nil {
			fmt.Println(answer.Status)
		}
	}
	if err != nil {
		fmt.Printf("%s: %s\n", status.Code(err), status.Convert(err).Message())
	}
}

func watched(client pb.HealthClient, ctx context.Context, request *pb.HealthCheckRequest) error {
	stream, err := client.Watch(ctx, request)
	for err == nil {
		var answer *pb.HealthCheckResponse
		if answer, err = stream.Recv(); err == nil {
			fmt.Print(answer.Status, " ")
		}
	}
	return err
}
